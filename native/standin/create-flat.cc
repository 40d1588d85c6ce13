#include "create-flat.h"

#include "descriptor.h"
#include "error.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace standin {

void createFlat(const std::string &path, const VixCreateParams &params) {
  if (path.rfind('/', 0) != 0 || path.size() <= 5 || path.substr(path.size() - 5) != ".vmdk")
    throw VixFailure(vix::kInvalidArgument, "an absolute path ending in .vmdk is needed");
  if (params.capacity == 0 || params.capacity >= (uint64_t{1} << 54)) throw VixFailure(vix::kInvalidArgument, "the capacity is out of range");
  if (params.diskType != vix::kDiskMonolithicFlat) throw VixFailure(vix::kNotSupported, "only monolithicFlat can be created");
  std::string flat = path.substr(0, path.size() - 5) + "-flat.vmdk";
  int fd = ::open(flat.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) throw fileFailure("cannot create", flat, errno);
  bool sized = ftruncate(fd, static_cast<off_t>(params.capacity * vix::kSectorBytes)) == 0;
  int failure = errno;
  ::close(fd);
  if (!sized) {
    unlink(flat.c_str());
    throw fileFailure("cannot size", flat, failure);
  }
  const char *adapter = params.adapterType == vix::kAdapterIde ? "ide" : params.adapterType == vix::kAdapterBusLogic ? "buslogic" : "lsilogic";
  replaceFile(path, "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n\nRW " +
                        std::to_string(params.capacity) + " FLAT \"" + flat.substr(flat.rfind('/') + 1) + "\" 0\n\nddb.adapterType = \"" + adapter +
                        "\"\nddb.virtualHWVersion = \"" + std::to_string(params.hwVersion) + "\"\n");
}

}  // namespace standin
