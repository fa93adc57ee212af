/** Measurements as text: three digits, and a unit. */
import { expect, test } from "bun:test";
import { milliseconds, percent, perSecond } from "../../bench/units.ts";

test("numbers have three digits that count, and the unit that suits", () => {
  expect([0.0123, 0.5, 12.34, 999, 1234].map(milliseconds)).toEqual([
    "12.3 µs",
    "0.50 ms",
    "12.3 ms",
    "999 ms",
    "1.23 s",
  ]);
  expect(perSecond({ unit: "flop", amount: 2e9 }, 10)).toBe("200 GFLOP/s");
  expect(perSecond({ unit: "byte", amount: 4e6 }, 1)).toBe("4.00 GB/s");
  expect(perSecond({ unit: "image", amount: 128 }, 100)).toBe("1,280 images/s");
  expect([0.004, 0.0994, 0.0996, 1.287].map(percent)).toEqual(["0.4%", "9.9%", "10%", "129%"]);
});
