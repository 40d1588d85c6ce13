// Connections and open disks of the library.
#pragma once

#include "behaviour.h"
#include "chain.h"
#include "descriptor.h"
#include "door.h"
#include "faults.h"
#include "io-pool.h"
#include "ledger.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <optional>

namespace standin {

// Facts of one process-wide InitEx.
struct LibraryState {
  Ledger ledger;
  std::unique_ptr<IoPool> pool;
  Behaviour behaviour;
  uint32_t major = 8;
  // What one open disk takes of its host's NFC memory.
  uint64_t nfcBufferBytes = 4 * 64 * 1024;
};

struct Connection {
  std::unique_ptr<Door> door;  // none: hosted mode, local files
  Target target;
  bool readOnly = true;
  std::string transportModes;
  size_t openDisks = 0;
};

class Disk {
 public:
  Disk(Connection &connection, const std::string &path, uint32_t flags, LibraryState &library);
  ~Disk();
  Disk(const Disk &) = delete;
  Disk &operator=(const Disk &) = delete;

  VixSector capacity() const { return chain_->capacity(); }
  const char *transport() const { return transport_; }
  const Behaviour &behaviour() const { return behaviour_; }
  // The last two fields exist from 7.0 on; in a 6.x they lie outside the allocation.
  VixInfo *info(uint32_t libraryMajor) const;

  // All I/O in sectors. They throw VixFailure.
  void check(VixSector start, VixSector count, const void *buffer, bool write) const;
  void read(VixSector start, VixSector count, uint8_t *to);
  void write(VixSector start, VixSector count, const uint8_t *from);
  void submit(bool write, VixSector start, VixSector count, uint8_t *buffer, VixCompletion done, void *data);
  void wait();
  size_t inFlight();
  void flush();
  std::vector<VixBlock> queryAllocated(VixSector start, VixSector count, VixSector chunk);
  const std::map<std::string, std::string> &metadata() const { return metadata_; }
  void setMetadata(const std::string &key, const std::string &value);
  // Drains, reports, and tells vCenter. The object is deleted afterwards whatever this throws.
  void close();

  // Notes a second call on this handle while one is running.
  class Entry {
   public:
    Entry(Disk &disk, const char *function);
    ~Entry();
    Entry(const Entry &) = delete;
    Entry &operator=(const Entry &) = delete;

   private:
    Disk &disk_;
  };

 private:
  void openLocal(uint32_t flags);
  void openThroughDoor(uint32_t flags);
  // Tells the door before and after, where it wants to hear of each: a test stops the service there. @throws VixFailure.
  void announced(const char *kind, const std::function<void()> &io);
  void note(VixSector start, VixSector count);
  struct Completion {
    VixCompletion done;
    void *data;
    VixError result;
  };
  VixError perform(bool isWrite, VixSector start, VixSector count, uint8_t *buffer);
  void complete(const Completion &completion);
  void completeReversed(const Completion &completion);
  void reportWritten();

  Connection &connection_;
  LibraryState &library_;
  std::string path_;
  bool readOnly_;
  const char *transport_ = "file";
  std::string handle_;
  std::string uuid_;
  std::string parentFileNameHint_;
  uint32_t adapterType_ = vix::kAdapterLsiLogic;
  std::unique_ptr<Chain> chain_;
  std::map<std::string, std::string> metadata_;
  Descriptor descriptor_;
  std::unique_ptr<Faults> faults_;
  bool announcesIo_ = false;

  std::mutex mutex_;
  std::condition_variable drained_;
  size_t pending_ = 0;
  std::vector<Completion> held_;
  std::vector<VixBlock> written_;
  std::atomic<int> callers_{0};
  Behaviour behaviour_;
  // Last: its threads end before anything else here does.
  std::optional<Chatter> chatter_;
};

}  // namespace standin
