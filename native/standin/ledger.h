// What the caller owes VDDK: everything it was given and has to give back, and every rule of the
// programming guide it broke. A real library crashes, hangs or corrupts on these, some time later, elsewhere.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace standin {

enum class Kind { Connection, Disk, Info, BlockList, ErrorText, ConnectParams };

class Ledger {
 public:
  // The rule that one thread opens and closes; off where the caller only serializes (nbdkit).
  void setStrictThreads(bool strict) { strictThreads_ = strict; }

  void made(Kind kind, const void *object);
  // -> false for what was never made or is gone already: it must not be touched.
  bool gone(Kind kind, const void *object);
  bool knows(Kind kind, const void *object) const;

  // ConnectEx, Open, Close, Disconnect and QueryAllocatedBlocks belong to one thread (guide, "Multithreading Considerations").
  void onDesignatedThread(const char *function);
  void breach(const std::string &what);

  // Breaches noted since the last call.
  std::vector<std::string> takeBreaches();
  // One line for each kind that has objects left.
  std::vector<std::string> leaks() const;

 private:
  mutable std::mutex mutex_;
  std::map<Kind, std::set<const void *>> objects_;
  std::vector<std::string> breaches_;
  std::thread::id designated_;
  bool strictThreads_ = true;
};

}  // namespace standin
