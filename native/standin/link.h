// One link of a disk's chain: a base, or the delta of a snapshot.
#pragma once

#include "vixdisklib_abi.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace standin {

// A file descriptor with 64-bit positioned I/O that never returns short.
class File {
 public:
  File(std::string path, bool writable);
  ~File();
  File(const File &) = delete;
  File &operator=(const File &) = delete;

  const std::string &path() const { return path_; }
  uint64_t sizeBytes() const;
  // Beyond the end reads as zeros, as on a thin disk.
  void read(uint64_t offsetBytes, uint64_t lengthBytes, void *to) const;
  void write(uint64_t offsetBytes, uint64_t lengthBytes, const void *from);
  void sync();
  // From now on, writes in whole sectors from aligned memory go past the page cache, where the file system lets them.
  void unbuffer();
  // The run of data or hole that holds offsetBytes. -> true for data; *end is its first byte after.
  bool dataAt(uint64_t offsetBytes, uint64_t limitBytes, uint64_t *endBytes) const;

 private:
  std::string path_;
  int fd_;
  int directFd_ = -1;
};

enum class Content { Data, Zero, Parent };

struct Run {
  Content content;
  VixSector sectors;
};

class Link {
 public:
  using ReadParent = std::function<void(VixSector start, VixSector count, uint8_t *to)>;

  virtual ~Link() = default;
  virtual VixSector capacity() const = 0;
  // Longest run of one kind found cheaply that begins at start; 1 <= sectors <= most.
  virtual Run run(VixSector start, VixSector most) = 0;
  // Only for sectors whose run is Data.
  virtual void read(VixSector start, VixSector count, uint8_t *to) = 0;
  // readParent gives what lies below, for the part of a grain the caller does not write.
  virtual void write(VixSector start, VixSector count, const uint8_t *from, const ReadParent &readParent) = 0;
  virtual void sync() = 0;
  // VIXDISKLIB_FLAG_OPEN_UNBUFFERED: host disk caching is disabled. A link that cannot stays as it is.
  virtual void unbuffer() {}
};

struct FlatExtent {
  std::string file;  // empty: a ZERO extent
  VixSector sectors;
  VixSector fileOffsetSectors;
};

// VMFS, FLAT and ZERO extents one after another. A hole of the sparse file is an unallocated block.
std::unique_ptr<Link> openFlatLink(const std::vector<FlatExtent> &extents, bool writable);
std::unique_ptr<Link> openSeSparseLink(const std::string &file, bool writable);

}  // namespace standin
