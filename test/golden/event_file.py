"""Writes event_file.json: records as TensorBoard's own writer makes them. pip install tensorboard==2.21.0"""
import io, json, os
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

def record(data):
    out = io.BytesIO()
    RecordWriter(out).write(data)
    return out.getvalue().hex()

start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
scalars = summary_pb2.Summary(value=[
    summary_pb2.Summary.Value(tag="loss/train", simple_value=0.25),
    summary_pb2.Summary.Value(tag="learning rate ü", simple_value=-1e-3),
])
golden = {
    "record": record(b"alexnet"),
    "version": record(event_pb2.Event(wall_time=1.5, file_version="brain.Event:2").SerializeToString()),
    "start": record(event_pb2.Event(wall_time=1.5, step=300, session_log=start).SerializeToString()),
    "scalars": record(event_pb2.Event(wall_time=1.5, step=2**33, summary=scalars).SerializeToString()),
}
with open(os.path.join(os.path.dirname(__file__), "event_file.json"), "w") as file:
    json.dump(golden, file, indent=2)
    file.write("\n")
