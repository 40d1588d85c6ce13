// One open disk: its handle and the thread that submits its I/O.
#pragma once

#include "channel.h"
#include "library.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace host {

struct SharedMemory {
  uint8_t *address = nullptr;
  uint64_t bytes = 0;
};

struct Limits {
  uint64_t ioDepth = 1;
  uint64_t maxRequestBytes = 1;
};

// As it lies in Read and Write frames, after the disk's number (u64).
struct IoRequest {
  uint64_t offsetBytes;
  uint64_t lengthBytes;
  uint64_t memoryOffset;
};
static_assert(sizeof(IoRequest) == 24);

struct Batch {
  uint64_t id;
  bool write;
  std::vector<IoRequest> requests;
};

// {"ok":false,...} for a failed library call, with the library's text and last log lines.
vault::Json vixFailure(const Library &library, const char *function, VixError error);
vault::Json plainFailure(const char *kind, const std::string &message);

class OpenDisk {
 public:
  OpenDisk(const Library &library, VixDisk *handle, VixSector capacity, const SharedMemory &memory, const Limits &limits, Channel &channel);
  ~OpenDisk();
  OpenDisk(const OpenDisk &) = delete;
  OpenDisk &operator=(const OpenDisk &) = delete;

  VixDisk *handle() const { return handle_; }
  VixSector capacity() const { return capacity_; }
  void submit(Batch batch);
  // Requests of that batch not yet given to the library are dropped; the rest is awaited as ever.
  void cancel(uint64_t batchId);
  // Until no batch runs: VDDK allows one call at a time on a handle.
  void drain();

 private:
  struct Pending {
    OpenDisk *disk;
    uint64_t offsetBytes;
  };

  static void completed(void *data, VixError result);
  void work();
  void run(const Batch &batch);
  void finished(VixError result, uint64_t offsetBytes);
  const char *complaint(const IoRequest &request) const;
  template <typename Condition>
  void waitReportingProgress(std::unique_lock<std::mutex> &lock, uint64_t batchId, Condition condition);

  const Library &library_;
  VixDisk *handle_;
  VixSector capacity_;
  const SharedMemory &memory_;
  const Limits &limits_;
  Channel &channel_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> queue_;
  bool busy_ = false;
  bool ending_ = false;
  uint64_t cancelled_ = 0;
  uint64_t inFlight_ = 0;
  uint64_t completions_ = 0;
  uint64_t reportedCompletions_ = 0;
  std::chrono::steady_clock::time_point reportedAt_;
  VixError error_ = vix::kOk;
  uint64_t errorOffsetBytes_ = 0;
  std::thread thread_;
};

}  // namespace host
