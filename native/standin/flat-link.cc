#include "error.h"
#include "link.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace standin {

File::File(std::string path, bool writable) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (fd_ < 0) throw fileFailure("cannot open", path_, errno);
}

File::~File() {
  if (directFd_ >= 0) ::close(directFd_);
  ::close(fd_);
}

void File::unbuffer() {
  if (directFd_ < 0) directFd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_DIRECT);
}

uint64_t File::sizeBytes() const {
  struct stat status;
  if (fstat(fd_, &status) != 0) throw fileFailure("cannot stat", path_, errno);
  return static_cast<uint64_t>(status.st_size);
}

void File::read(uint64_t offsetBytes, uint64_t lengthBytes, void *to) const {
  auto *at = static_cast<uint8_t *>(to);
  while (lengthBytes > 0) {
    ssize_t got = pread(fd_, at, std::min<uint64_t>(lengthBytes, 1u << 30), static_cast<off_t>(offsetBytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw fileFailure("cannot read", path_, errno);
    if (got == 0) {
      std::memset(at, 0, lengthBytes);
      return;
    }
    at += got;
    offsetBytes += static_cast<uint64_t>(got);
    lengthBytes -= static_cast<uint64_t>(got);
  }
}

void File::write(uint64_t offsetBytes, uint64_t lengthBytes, const void *from) {
  auto *at = static_cast<const uint8_t *>(from);
  int fd = directFd_ >= 0 ? directFd_ : fd_;
  while (lengthBytes > 0) {
    ssize_t put = pwrite(fd, at, std::min<uint64_t>(lengthBytes, 1u << 30), static_cast<off_t>(offsetBytes));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EINVAL && fd == directFd_) {
      // Memory or place are not aligned as this file system wants them.
      fd = fd_;
      continue;
    }
    if (put <= 0) throw fileFailure("cannot write", path_, put == 0 ? EIO : errno);
    at += put;
    offsetBytes += static_cast<uint64_t>(put);
    lengthBytes -= static_cast<uint64_t>(put);
  }
}

void File::sync() {
  if (fdatasync(fd_) != 0) throw fileFailure("cannot flush", path_, errno);
}

bool File::dataAt(uint64_t offsetBytes, uint64_t limitBytes, uint64_t *endBytes) const {
  off_t data = lseek(fd_, static_cast<off_t>(offsetBytes), SEEK_DATA);
  if (data < 0 && errno == ENXIO) {
    *endBytes = limitBytes;
    return false;
  }
  if (data < 0) {
    // A file system without SEEK_DATA: everything counts as allocated.
    *endBytes = limitBytes;
    return true;
  }
  if (static_cast<uint64_t>(data) > offsetBytes) {
    *endBytes = std::min<uint64_t>(static_cast<uint64_t>(data), limitBytes);
    return false;
  }
  off_t hole = lseek(fd_, static_cast<off_t>(offsetBytes), SEEK_HOLE);
  *endBytes = hole < 0 ? limitBytes : std::min<uint64_t>(static_cast<uint64_t>(hole), limitBytes);
  return true;
}

namespace {

class FlatLink final : public Link {
 public:
  FlatLink(const std::vector<FlatExtent> &extents, bool writable) {
    for (const FlatExtent &extent : extents) {
      parts_.push_back({extent.file.empty() ? nullptr : std::make_unique<File>(extent.file, writable), capacity_, extent.sectors,
                        extent.fileOffsetSectors});
      capacity_ += extent.sectors;
    }
  }

  VixSector capacity() const override { return capacity_; }

  Run run(VixSector start, VixSector most) override {
    const Part &part = partAt(start);
    VixSector within = start - part.start;
    most = std::min(most, part.sectors - within);
    if (!part.file) return {Content::Zero, most};
    uint64_t from = (part.fileOffset + within) * vix::kSectorBytes;
    uint64_t end = 0;
    bool data = part.file->dataAt(from, from + most * vix::kSectorBytes, &end);
    // A sector that is half hole, half data is data: a hole ends at the sector boundary before it.
    VixSector sectors = data ? (end - from + vix::kSectorBytes - 1) / vix::kSectorBytes : (end - from) / vix::kSectorBytes;
    if (sectors == 0) return {Content::Data, 1};
    return {data ? Content::Data : Content::Zero, std::min(sectors, most)};
  }

  void read(VixSector start, VixSector count, uint8_t *to) override {
    const Part &part = partAt(start);
    part.file->read((part.fileOffset + start - part.start) * vix::kSectorBytes, count * vix::kSectorBytes, to);
  }

  void write(VixSector start, VixSector count, const uint8_t *from, const ReadParent &) override {
    while (count > 0) {
      const Part &part = partAt(start);
      VixSector piece = std::min(count, part.start + part.sectors - start);
      if (!part.file) throw VixFailure(vix::kNotSupported, "a ZERO extent cannot be written");
      part.file->write((part.fileOffset + start - part.start) * vix::kSectorBytes, piece * vix::kSectorBytes, from);
      start += piece;
      count -= piece;
      from += piece * vix::kSectorBytes;
    }
  }

  void unbuffer() override {
    for (const Part &part : parts_)
      if (part.file) part.file->unbuffer();
  }

  void sync() override {
    for (const Part &part : parts_)
      if (part.file) part.file->sync();
  }

 private:
  struct Part {
    std::unique_ptr<File> file;
    VixSector start;
    VixSector sectors;
    VixSector fileOffset;
  };

  const Part &partAt(VixSector sector) const {
    for (const Part &part : parts_)
      if (sector - part.start < part.sectors && sector >= part.start) return part;
    throw VixFailure(vix::kDiskOutOfRange, "a sector beyond the last extent");
  }

  std::vector<Part> parts_;
  VixSector capacity_ = 0;
};

}  // namespace

std::unique_ptr<Link> openFlatLink(const std::vector<FlatExtent> &extents, bool writable) {
  return std::make_unique<FlatLink>(extents, writable);
}

}  // namespace standin
