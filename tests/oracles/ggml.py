"""ggml's own quantizers and dequantizers, from the shared library that node-llama-cpp ships.

  ggml.py <folder of the libraries> <type> quantize|dequantize < input > output

Both sides are raw little-endian: float32 values, or blocks.
"""
import ctypes
import glob
import sys

folder, name, direction = sys.argv[1:]
(path,) = glob.glob(folder + "/libggml-base*.so")
library = ctypes.CDLL(path)
block_bytes = {"q4_0": 18, "q4_1": 20, "q5_0": 22, "q5_1": 24, "q8_0": 34}[name.lower()]
data = sys.stdin.buffer.read()
if direction == "quantize":
    count = len(data) // 4
    out = ctypes.create_string_buffer(count // 32 * block_bytes)
    work = getattr(library, "quantize_row_" + name.lower() + "_ref")
else:
    count = len(data) // block_bytes * 32
    out = ctypes.create_string_buffer(count * 4)
    work = getattr(library, "dequantize_row_" + name.lower())
work.restype = None
work.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64]
work(data, out, count)
sys.stdout.buffer.write(out.raw)
