// Threads of our own for the work on chunks. libuv's pool has four and does the file I/O of the whole
// service: with compression in it, reads and writes would wait behind it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>

namespace vault {

class WorkPool {
 public:
  // One for the process; its threads live as long as that.
  static WorkPool& Shared();

  // At least that many threads from now on. Threads are never ended: idle ones cost nothing. False where the system gives no more.
  bool Grow(size_t threads);
  void Submit(std::function<void()> job);

 private:
  WorkPool();
  void Work();
  // Takes no further job and waits for those under way.
  void Rest();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable rested_;
  std::deque<std::function<void()>> jobs_;
  size_t threads_ = 0;
  size_t working_ = 0;
  bool resting_ = false;
};

}  // namespace vault
