#include "descriptor.h"

#include "error.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace standin {
namespace {

constexpr size_t kLargestDescriptorBytes = 1024 * 1024;
constexpr size_t kLongestChain = 256;
// The largest virtual disk there is has 62 TiB.
constexpr VixSector kMostSectors = VixSector{64} << 31;

std::string unquoted(const std::string &text) {
  size_t start = text.find_first_not_of(" \t\r\"");
  if (start == std::string::npos) return "";
  return text.substr(start, text.find_last_not_of(" \t\r\"") - start + 1);
}

bool parseExtent(const std::string &line, DescriptorExtent *extent) {
  std::istringstream words(line);
  std::string access;
  if (!(words >> access >> extent->sectors >> extent->type) || (access != "RW" && access != "RDONLY" && access != "NOACCESS")) return false;
  size_t open = line.find('"');
  size_t close = line.rfind('"');
  if (open != std::string::npos && close > open) {
    extent->file = line.substr(open + 1, close - open - 1);
    extent->offsetSectors = std::strtoull(line.c_str() + close + 1, nullptr, 10);
  }
  return true;
}

std::string beside(const std::string &path, const std::string &file) {
  return file.rfind('/', 0) == 0 ? file : directoryOf(path) + "/" + file;
}

std::unique_ptr<Link> openLink(const Descriptor &descriptor, bool writable) {
  std::vector<FlatExtent> flat;
  for (const DescriptorExtent &extent : descriptor.extents) {
    if (extent.type == "SESPARSE" && descriptor.extents.size() == 1) return openSeSparseLink(beside(descriptor.path, extent.file), writable);
    if (extent.type == "ZERO") flat.push_back({"", extent.sectors, 0});
    else if (extent.type == "FLAT" || extent.type == "VMFS") flat.push_back({beside(descriptor.path, extent.file), extent.sectors, extent.offsetSectors});
    else throw VixFailure(vix::kNotSupported, "extent type " + extent.type + " of \"" + descriptor.path + "\" is not supported");
  }
  return openFlatLink(flat, writable);
}

}  // namespace

std::string directoryOf(const std::string &path) { return path.substr(0, path.rfind('/')); }

void replaceFile(const std::string &path, const std::string &text) {
  std::string temporary = path + ".new";
  int fd = ::open(temporary.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) throw fileFailure("cannot create", temporary, errno);
  bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  int failure = errno;
  ::close(fd);
  if (written && std::rename(temporary.c_str(), path.c_str()) == 0) return;
  if (written) failure = errno;
  unlink(temporary.c_str());
  throw fileFailure("cannot write", path, failure);
}

Descriptor Descriptor::read(const std::string &path) {
  std::ifstream input(path, std::ios::binary);
  if (!input) throw fileFailure("cannot open", path, errno);
  Descriptor result;
  result.path = path;
  result.text.resize(kLargestDescriptorBytes);
  input.read(result.text.data(), static_cast<std::streamsize>(result.text.size()));
  result.text.resize(static_cast<size_t>(input.gcount()));
  if (result.text.rfind("KDMV", 0) == 0) throw VixFailure(vix::kNotSupported, "\"" + path + "\" is a sparse disk; only flat and seSparse are supported");
  std::istringstream lines(result.text);
  bool known = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("# Disk DescriptorFile", 0) == 0) known = true;
    DescriptorExtent extent{0, "", "", 0};
    size_t equals = line.find('=');
    if (line.empty() || line[0] == '#') continue;
    if (parseExtent(line, &extent)) {
      result.extents.push_back(extent);
      continue;
    }
    if (equals == std::string::npos) continue;
    std::string key = unquoted(line.substr(0, equals));
    std::string value = unquoted(line.substr(equals + 1));
    if (key == "CID") result.cid = value;
    else if (key == "parentCID") result.parentCid = value;
    else if (key == "createType") result.createType = value;
    else if (key == "parentFileNameHint") result.parentFileNameHint = value;
    else if (key.rfind("ddb.", 0) == 0) result.ddb[key.substr(4)] = value;
  }
  VixSector sectors = 0;
  for (const DescriptorExtent &extent : result.extents) {
    if (extent.sectors > kMostSectors - sectors) throw VixFailure(vix::kDiskInvalid, "\"" + path + "\" is larger than a disk can be");
    sectors += extent.sectors;
  }
  if (!known || result.extents.empty()) throw VixFailure(vix::kIncorrectFileType, "\"" + path + "\" is not a VMDK descriptor");
  return result;
}

VixSector Descriptor::capacity() const {
  VixSector sectors = 0;
  for (const DescriptorExtent &extent : extents) sectors += extent.sectors;
  return sectors;
}

void Descriptor::setDdb(const std::string &key, const std::string &value) {
  std::istringstream lines(text);
  std::string changed;
  std::string entry = "ddb." + key + " = \"" + value + "\"\n";
  bool found = false;
  for (std::string line; std::getline(lines, line);) {
    if (unquoted(line.substr(0, line.find('='))) == "ddb." + key) {
      changed += entry;
      found = true;
    } else {
      changed += line + "\n";
    }
  }
  if (!found) changed += entry;
  replaceFile(path, changed);
  text = changed;
  ddb[key] = value;
}

std::unique_ptr<Chain> openLocalChain(const Descriptor &top, bool singleLink, bool writable) {
  std::vector<std::unique_ptr<Link>> links;
  links.push_back(openLink(top, writable));
  Descriptor child = top;
  while (!singleLink && !child.parentFileNameHint.empty()) {
    if (links.size() >= kLongestChain) throw VixFailure(vix::kDiskInvalid, "the chain of \"" + top.path + "\" never ends");
    std::string parentPath = beside(child.path, child.parentFileNameHint);
    Descriptor parent;
    try {
      parent = Descriptor::read(parentPath);
    } catch (const VixFailure &failure) {
      throw VixFailure(vix::kDiskOpenParent, failure.what());
    }
    if (std::strtoul(parent.cid.c_str(), nullptr, 16) != std::strtoul(child.parentCid.c_str(), nullptr, 16))
      throw VixFailure(vix::kDiskCidMismatch, "\"" + parentPath + "\" was modified after \"" + child.path + "\" was made");
    links.push_back(openLink(parent, false));
    child = parent;
  }
  return std::make_unique<Chain>(std::move(links), top.capacity());
}

}  // namespace standin
