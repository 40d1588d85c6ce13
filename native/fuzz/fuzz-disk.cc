// What the stand-in library makes of disk files: a descriptor, and the seSparse delta it names. Whatever
// they hold, opening and reading ends with data or with a VixFailure, in time and in memory.
#include "../standin/descriptor.h"
#include "../standin/error.h"
#include "fuzzing.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace {

constexpr VixSector kMostSectorsRead = 8192;
const char kSeparator[] = "\n=== delta.sesparse\n";

void writeFile(const std::string &path, const std::string &content) {
  std::ofstream output(path, std::ios::binary | std::ios::trunc);
  output.write(content.data(), static_cast<std::streamsize>(content.size()));
}

// A descriptor over a seSparse extent of 64 MiB with two grains, tables in reverse of their order.
std::string sparseSeed() {
  constexpr uint64_t capacity = 131072, tables = 4, tablesAt = 5, grainsAt = tablesAt + tables * 64;
  std::string extent((grainsAt + 16) * 512, '\0');
  auto put = [&](uint64_t at, uint64_t value) { std::memcpy(extent.data() + at, &value, sizeof value); };
  const uint64_t header[] = {0xcafebabe, 0x0000000200000001, capacity, 8, 64, 0, 0, 0, 0, 0, 1, 1, 2, 1, 3, 1, 4, 1, tablesAt, tables * 64};
  for (size_t i = 0; i < std::size(header); i++) put(i * 8, header[i]);
  put(24 * 8, grainsAt);
  put(512, 0xcafecafe);
  put(4 * 512, 0x1000000000000003);
  put(4 * 512 + 8, 0x1000000000000000);
  put((tablesAt + 3 * 64) * 512, 0x3000000000000000);
  put((tablesAt + 3 * 64) * 512 + 8, 0x3001000000000000);
  put((tablesAt + 3 * 64) * 512 + 16, 0x2000000000000000);
  std::memset(extent.data() + grainsAt * 512, 'x', 16 * 512);
  return std::string("# Disk DescriptorFile\nversion=1\nCID=0a1b2c3d\nparentCID=ffffffff\ncreateType=\"seSparse\"\n") +
         "RW 131072 SESPARSE \"delta.sesparse\"\nddb.adapterType = \"lsilogic\"\n" + kSeparator + extent;
}

void readAll(standin::Chain &chain) {
  std::string buffer(static_cast<size_t>(std::min(chain.capacity(), kMostSectorsRead)) * vix::kSectorBytes, '\0');
  auto *to = reinterpret_cast<uint8_t *>(buffer.data());
  if (chain.capacity() == 0) return;
  chain.read(0, buffer.size() / vix::kSectorBytes, to);
  chain.read(chain.capacity() - 1, 1, to);
  VixSector asked = std::min<VixSector>(chain.capacity(), 8 * kMostSectorsRead) / 128 * 128;
  if (asked == 0) return;
  for (const VixBlock &block : chain.allocated(0, asked, 128))
    if (block.length == 0 || block.offset + block.length > asked || block.offset % 128 != 0) std::abort();
}

// What was set is there when the file is read again, and nothing else changed.
void checkMetadata(const std::string &path) {
  standin::Descriptor descriptor = standin::Descriptor::read(path);
  auto before = descriptor.ddb;
  descriptor.setDdb("fuzz.key", "value");
  auto after = standin::Descriptor::read(path).ddb;
  before["fuzz.key"] = "value";
  if (after != before) std::abort();
}

}  // namespace

int main(int argc, char **argv) {
  fuzz::Options options = fuzz::parseOptions(argc, argv);
  std::vector<std::string> corpus = fuzz::readCorpus(options.corpusDir);
  corpus.push_back(sparseSeed());
  const std::string path = options.workDir + "/disk.vmdk";
  writeFile(options.workDir + "/disk-flat.vmdk", std::string(1 << 20, 'd'));
  writeFile(options.workDir + "/base.vmdk", corpus.front());
  fuzz::Mutator mutator(options.seed, corpus,
                        {"RW ", " VMFS ", " ZERO", " SESPARSE ", "\"disk-flat.vmdk\"", "parentFileNameHint=\"disk.vmdk\"\n", "parentFileNameHint=\"base.vmdk\"\n",
                         "parentCID=0a1b2c3d\n", "# Disk DescriptorFile\n", "ddb.", "=", "\"", "\n", "KDMV", std::string(3, '\0')});
  uint64_t opened = 0;
  uint64_t tried = fuzz::run(options, mutator, [&](const std::string &input) {
    size_t at = input.find(kSeparator);
    writeFile(path, input.substr(0, at));
    if (at != std::string::npos) writeFile(options.workDir + "/delta.sesparse", input.substr(at + sizeof kSeparator - 1));
    for (bool singleLink : {true, false}) {
      try {
        readAll(*standin::openLocalChain(standin::Descriptor::read(path), singleLink, false));
        opened++;
      } catch (const standin::VixFailure &) {
        // Refused: what a damaged disk deserves.
      }
    }
    try {
      checkMetadata(path);
    } catch (const standin::VixFailure &) {
    }
  });
  std::printf("fuzz-disk: %llu inputs, %llu openings\n", static_cast<unsigned long long>(tried), static_cast<unsigned long long>(opened));
  return 0;
}
