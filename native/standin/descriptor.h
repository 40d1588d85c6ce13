// VMDK descriptor files, for hosted mode (a local path and no vCenter).
#pragma once

#include "chain.h"

#include <map>

namespace standin {

struct DescriptorExtent {
  VixSector sectors;
  std::string type;
  std::string file;
  VixSector offsetSectors;
};

struct Descriptor {
  std::string path;
  std::string text;
  std::string cid;
  std::string parentCid;
  std::string createType;
  std::string parentFileNameHint;
  std::vector<DescriptorExtent> extents;
  std::map<std::string, std::string> ddb;

  static Descriptor read(const std::string &path);
  VixSector capacity() const;
  // Rewrites the file with this entry set; the new file replaces the old in one step.
  void setDdb(const std::string &key, const std::string &value);
};

std::string directoryOf(const std::string &path);
void replaceFile(const std::string &path, const std::string &text);
// The chain of a local descriptor, parents found by parentFileNameHint and checked by CID.
std::unique_ptr<Chain> openLocalChain(const Descriptor &top, bool singleLink, bool writable);

}  // namespace standin
