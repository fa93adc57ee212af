"""NumPy, with its wheel's BLAS. main.ts sets the number of threads in the environment."""

import numpy

from common import answer, measure, product_error, read_job, uniform

job = read_job()
results = []
for size in job["sizes"]:
    a, b = uniform(size), uniform(size)
    c = numpy.empty_like(a)
    samples = measure(lambda: numpy.matmul(a, b, out=c), job["seconds"])
    results.append({"name": str(size), "samples": samples, "error": product_error(a, b, c)})
answer(f"NumPy {numpy.__version__}", results)
