"""llama.cpp's own whole-file quantizer, from the shared libraries that node-llama-cpp ships. Prints the
seconds that it took.

  llama_quantize.py <folder of the libraries> <input.gguf> <output.gguf> <file type> <threads> [splits]

File types: 0 F32, 1 F16, 2 Q4_0, 3 Q4_1, 7 Q8_0, 8 Q5_0, 9 Q5_1, 32 BF16. With quantized ones the
output matrix becomes Q8_0 (tensor type 8), which is what modelshrink does without Q6_K. With
"splits", the output has the input's, and its name is their prefix.
"""
import ctypes
import glob
import sys
import time


class Params(ctypes.Structure):
    """llama_model_quantize_params of llama.h, as far as it is read here; the rest is room."""

    _fields_ = [
        ("nthread", ctypes.c_int32),
        ("ftype", ctypes.c_int32),
        ("output_tensor_type", ctypes.c_int32),
        ("token_embedding_type", ctypes.c_int32),
        ("allow_requantize", ctypes.c_bool),
        ("quantize_output_tensor", ctypes.c_bool),
        ("only_copy", ctypes.c_bool),
        ("pure", ctypes.c_bool),
        ("keep_split", ctypes.c_bool),
        ("dry_run", ctypes.c_bool),
        ("imatrix", ctypes.c_void_p),
        ("kv_overrides", ctypes.c_void_p),
        ("tt_overrides", ctypes.c_void_p),
        ("prune_layers", ctypes.c_void_p),
    ]


folder, source, target, file_type, threads = sys.argv[1:6]
for name in ("libggml-base*.so", "libggml.*so"):
    for path in glob.glob(folder + "/" + name):
        ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
(path,) = glob.glob(folder + "/libllama.*so")
llama = ctypes.CDLL(path)
llama.llama_model_quantize_default_params.restype = Params
llama.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(Params)]
llama.llama_model_quantize.restype = ctypes.c_uint32
LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
lines = []
log = LOG(lambda level, text, data: lines.append(text.decode(errors="replace")))
llama.llama_log_set(log, None)
llama.llama_backend_init()
params = llama.llama_model_quantize_default_params()
params.nthread = int(threads)
params.ftype = int(file_type)
if int(file_type) not in (0, 1, 32):
    params.output_tensor_type = 8
params.allow_requantize = True
params.keep_split = sys.argv[6:] == ["splits"]
started = time.perf_counter()
failed = llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params))
if failed:
    sys.exit("llama_model_quantize gave %d\n%s" % (failed, "".join(lines[-20:])))
print(time.perf_counter() - started)
