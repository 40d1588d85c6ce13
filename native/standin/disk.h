// Connections and open disks of the library.
#pragma once

#include "chain.h"
#include "descriptor.h"
#include "door.h"
#include "faults.h"
#include "io-pool.h"

#include <atomic>
#include <condition_variable>

namespace standin {

// Facts of one process-wide InitEx.
struct LibraryState {
  std::unique_ptr<IoPool> pool;
  bool strictThreads = false;
};

struct Connection {
  std::unique_ptr<Door> door;  // none: hosted mode, local files
  Target target;
  bool readOnly = true;
  std::string transportModes;
};

class Disk {
 public:
  Disk(Connection &connection, const std::string &path, uint32_t flags, LibraryState &library);

  VixSector capacity() const { return chain_->capacity(); }
  const char *transport() const { return transport_; }
  VixInfo *info() const;

  // All I/O in sectors. They throw VixFailure.
  void check(VixSector start, VixSector count, const void *buffer, bool write) const;
  void read(VixSector start, VixSector count, uint8_t *to);
  void write(VixSector start, VixSector count, const uint8_t *from);
  void submit(bool write, VixSector start, VixSector count, uint8_t *buffer, VixCompletion done, void *data);
  void wait();
  void flush();
  std::vector<VixBlock> queryAllocated(VixSector start, VixSector count, VixSector chunk);
  const std::map<std::string, std::string> &metadata() const { return metadata_; }
  void setMetadata(const std::string &key, const std::string &value);
  // Drains, reports, and tells vCenter. The object is deleted afterwards whatever this throws.
  void close();

  // Strict mode: notes a second call on this handle while one is running.
  class Entry {
   public:
    explicit Entry(Disk &disk);
    ~Entry();
    Entry(const Entry &) = delete;
    Entry &operator=(const Entry &) = delete;

   private:
    Disk &disk_;
  };

 private:
  void openLocal(uint32_t flags);
  void openThroughDoor(uint32_t flags);
  void note(VixSector start, VixSector count);
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

  std::mutex mutex_;
  std::condition_variable drained_;
  size_t pending_ = 0;
  std::vector<VixBlock> written_;
  std::atomic<int> callers_{0};
};

}  // namespace standin
