// `modelshrink_pack_bench <kind> <row length> <file>`: packs and unpacks the weights in the file;
// prints the packed bytes and the seconds of encoding, decoding and copying, the least of three.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

#include "pack_weights.h"

namespace {

double Seconds(int (*run)()) {
  double least = 1e9;
  for (int i = 0; i < 3; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (run() == 0) std::exit(1);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    least = std::min(least, took.count());
  }
  return least;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  std::ifstream stream(argv[3], std::ios::binary);
  const std::vector<char> file{std::istreambuf_iterator<char>(stream),
                               std::istreambuf_iterator<char>()};
  const size_t packed = PreparePack(static_cast<uint32_t>(std::atoi(argv[1])),
                                    static_cast<uint32_t>(std::atoi(argv[2])),
                                    reinterpret_cast<const uint8_t*>(file.data()), file.size());
  if (packed == 0) return 1;
  const double encoded = Seconds(EncodeChunks);
  const double decoded = Seconds(DecodeChunks);
  std::printf("%zu %.6f %.6f %.6f\n", packed, encoded, decoded, Seconds(CopyWeights));
  return 0;
}
