// Bounded mutation fuzzing without libFuzzer, which gcc has not: a corpus, random edits of it, one
// function under test. The same seed tries the same inputs.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace fuzz {

class Mutator {
 public:
  Mutator(uint64_t seed, std::vector<std::string> corpus, std::vector<std::string> words);
  // A corpus entry with one to eight edits: bits flipped, bytes cut, doubled or replaced, words put in, entries joined.
  std::string next();
  const std::vector<std::string> &corpus() const { return corpus_; }

 private:
  size_t below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }
  void edit(std::string &text);

  std::mt19937_64 random_;
  std::vector<std::string> corpus_;
  std::vector<std::string> words_;
};

// Every file of a folder, in order of their names; ends the process where there is none.
std::vector<std::string> readCorpus(const std::string &folder);

struct Options {
  double seconds = 2;
  uint64_t seed = 1;
  std::string corpusDir;
  std::string workDir;
};
// SECONDS SEED CORPUS_DIR WORK_DIR; ends the process with a usage line otherwise.
Options parseOptions(int argc, char **argv);

// Each input of the corpus as it is, then mutations until the time is up. The input under test lies in
// WORK_DIR/input, so that it is there after a crash; one that takes longer than 20 s ends the process by SIGALRM.
// -> number of inputs tried.
uint64_t run(const Options &options, Mutator &mutator, const std::function<void(const std::string &)> &one);

}  // namespace fuzz
