// How this library behaves where the guide leaves it open, for one open disk: a caller must live with all of them.
#pragma once

#include "configuration.h"
#include "json.h"
#include "vixdisklib_abi.h"

#include <string>
#include <thread>
#include <vector>

namespace standin {

enum class Callbacks {
  Pool,      // on a thread of the library, as they come
  Inline,    // on the caller's thread, before ReadAsync returns VIX_ASYNC
  Late,      // on a thread of the library, some time after the work is done
  Reversed,  // those in flight together in the opposite order
};

struct Behaviour {
  Callbacks callbacks = Callbacks::Pool;
  // The upper half of an error word carries facts of the library's own; callers compare the lower one.
  bool highBits = false;
  // So many threads write to the log while a disk is open.
  uint64_t logThreads = 0;

  // standin.callbacks, standin.highBits, standin.logThreads of the configuration file.
  static Behaviour from(const Configuration &configuration);
  // {callbacks, highBits, logThreads}: what the simulated vCenter orders for one disk goes before. @throws VixFailure
  Behaviour orderedBy(const vault::Json &order) const;

  VixError word(VixError error) const { return error != vix::kOk && highBits ? error | 0x2badULL << 32 : error; }
};

// Threads that write to the log as long as this lives.
class Chatter {
 public:
  explicit Chatter(uint64_t threads);
  ~Chatter();
  Chatter(const Chatter &) = delete;
  Chatter &operator=(const Chatter &) = delete;

 private:
  std::vector<std::thread> threads_;
};

}  // namespace standin
