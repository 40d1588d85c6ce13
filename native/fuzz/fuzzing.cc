#include "fuzzing.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/mman.h>
#include <unistd.h>

namespace fuzz {
namespace {

constexpr size_t kLargestInputBytes = 1 << 20;
constexpr unsigned kHangSeconds = 20;

// What integers break on.
const char *const kNumbers[] = {"0", "1", "-1", "127", "4095", "4096", "65535", "2147483647", "2147483648", "4294967295", "4294967296",
                                "9007199254740991", "9007199254740993", "9223372036854775807", "18446744073709551615", "1e308", "0.5"};

[[noreturn]] void give(const char *what) {
  std::fprintf(stderr, "%s\n", what);
  std::exit(2);
}

// The input stands in a file without a system call for each: memory that outlives the process.
class LastInput {
 public:
  explicit LastInput(const std::string &path) {
    int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, kLargestInputBytes + sizeof(uint64_t)) != 0) give("the input file cannot be made");
    address_ = static_cast<char *>(mmap(nullptr, kLargestInputBytes + sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    ::close(fd);
    if (address_ == MAP_FAILED) give("the input file cannot be mapped");
  }
  // Its length (u64), then the input.
  void keep(const std::string &input) {
    uint64_t bytes = input.size();
    std::memcpy(address_, &bytes, sizeof bytes);
    std::memcpy(address_ + sizeof bytes, input.data(), input.size());
  }

 private:
  char *address_;
};

}  // namespace

Mutator::Mutator(uint64_t seed, std::vector<std::string> corpus, std::vector<std::string> words)
    : random_(seed), corpus_(std::move(corpus)), words_(std::move(words)) {}

std::string Mutator::next() {
  std::string text = corpus_[below(corpus_.size())];
  for (size_t edits = 1 + below(8); edits > 0; edits--) edit(text);
  if (text.size() > kLargestInputBytes) text.resize(kLargestInputBytes);
  return text;
}

void Mutator::edit(std::string &text) {
  // Half of the edits at the front: that is where headers are.
  size_t at = below(below(2) == 0 ? text.size() + 1 : std::min<size_t>(text.size() + 1, 4096));
  size_t length = std::min(text.size() - at, 1 + below(32));
  switch (below(8)) {
    case 0:
      if (at < text.size()) text[at] = static_cast<char>(text[at] ^ 1 << below(8));
      return;
    case 1:
      if (at < text.size()) text[at] = static_cast<char>(below(256));
      return;
    case 2: text.erase(at, length); return;
    case 3: text.insert(at, text.substr(at, length)); return;
    case 4:
      if (!words_.empty()) text.insert(at, words_[below(words_.size())]);
      return;
    case 5: {
      size_t digits = text.find_first_of("0123456789", at);
      if (digits == std::string::npos) return;
      size_t end = std::min(text.find_first_not_of("0123456789", digits), text.size());
      text.replace(digits, end - digits, kNumbers[below(std::size(kNumbers))]);
      return;
    }
    case 6: {
      const std::string &other = corpus_[below(corpus_.size())];
      text = text.substr(0, at) + other.substr(below(other.size() + 1));
      return;
    }
    default: text.resize(at); return;
  }
}

std::vector<std::string> readCorpus(const std::string &folder) {
  std::vector<std::string> files;
  for (const auto &entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> corpus;
  for (const std::string &file : files) {
    std::ifstream input(file, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(input), std::istreambuf_iterator<char>());
  }
  if (corpus.empty()) give("the corpus is empty");
  return corpus;
}

Options parseOptions(int argc, char **argv) {
  if (argc != 5) give("usage: fuzz-… SECONDS SEED CORPUS_DIR WORK_DIR");
  return {std::strtod(argv[1], nullptr), std::strtoull(argv[2], nullptr, 10), argv[3], argv[4]};
}

uint64_t run(const Options &options, Mutator &mutator, const std::function<void(const std::string &)> &one) {
  LastInput last(options.workDir + "/input");
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(options.seconds);
  uint64_t tried = 0;
  auto test = [&](const std::string &input) {
    last.keep(input);
    alarm(kHangSeconds);
    one(input);
    tried++;
  };
  for (const std::string &input : mutator.corpus()) test(input);
  while (std::chrono::steady_clock::now() < end) test(mutator.next());
  alarm(0);
  return tried;
}

}  // namespace fuzz
