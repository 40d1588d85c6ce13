#include "chain.h"

#include <algorithm>
#include <cstring>

namespace standin {

// Below the base there is nothing, and a parent may be smaller than a grown child: both read as zeros.
Run Chain::runFrom(size_t link, VixSector start, VixSector most) {
  if (link >= links_.size() || start >= links_[link]->capacity()) return {Content::Zero, most};
  return links_[link]->run(start, std::min(most, links_[link]->capacity() - start));
}

void Chain::readFrom(size_t link, VixSector start, VixSector count, uint8_t *to) {
  while (count > 0) {
    Run run = runFrom(link, start, count);
    if (run.content == Content::Data) links_[link]->read(start, run.sectors, to);
    if (run.content == Content::Zero) std::memset(to, 0, run.sectors * vix::kSectorBytes);
    if (run.content == Content::Parent) readFrom(link + 1, start, run.sectors, to);
    start += run.sectors;
    count -= run.sectors;
    to += run.sectors * vix::kSectorBytes;
  }
}

void Chain::write(VixSector start, VixSector count, const uint8_t *from) {
  links_.front()->write(start, count, from, [this](VixSector parentStart, VixSector parentCount, uint8_t *to) {
    readFrom(1, parentStart, parentCount, to);
  });
}

std::vector<VixBlock> Chain::allocated(VixSector start, VixSector count, VixSector chunk) {
  std::vector<VixBlock> blocks;
  collect(0, start, count, chunk, blocks);
  return blocks;
}

void Chain::collect(size_t link, VixSector start, VixSector count, VixSector chunk, std::vector<VixBlock> &blocks) {
  VixSector end = start + count;
  while (start < end) {
    Run run = runFrom(link, start, end - start);
    if (run.content == Content::Parent) collect(link + 1, start, run.sectors, chunk, blocks);
    if (run.content == Content::Data) {
      VixSector from = start / chunk * chunk;
      VixSector to = (start + run.sectors + chunk - 1) / chunk * chunk;
      if (!blocks.empty() && from <= blocks.back().offset + blocks.back().length)
        blocks.back().length = std::max(blocks.back().length, to - blocks.back().offset);
      else
        blocks.push_back({from, to - from});
    }
    start += run.sectors;
  }
}

}  // namespace standin
