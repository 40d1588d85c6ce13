// A disk as the guest sees it: links laid over each other, topmost first.
#pragma once

#include "link.h"

namespace standin {

class Chain {
 public:
  Chain(std::vector<std::unique_ptr<Link>> links, VixSector capacity) : links_(std::move(links)), capacity_(capacity) {}

  VixSector capacity() const { return capacity_; }
  size_t linkCount() const { return links_.size(); }
  void read(VixSector start, VixSector count, uint8_t *to) { readFrom(0, start, count, to); }
  void write(VixSector start, VixSector count, const uint8_t *from);
  void sync() { links_.front()->sync(); }
  void unbuffer() { links_.front()->unbuffer(); }
  // Runs that hold data in some link and are not masked by a zero above, rounded out to whole chunks.
  std::vector<VixBlock> allocated(VixSector start, VixSector count, VixSector chunk);

 private:
  Run runFrom(size_t link, VixSector start, VixSector most);
  void readFrom(size_t link, VixSector start, VixSector count, uint8_t *to);
  void collect(size_t link, VixSector start, VixSector count, VixSector chunk, std::vector<VixBlock> &blocks);

  std::vector<std::unique_ptr<Link>> links_;
  VixSector capacity_;
};

}  // namespace standin
