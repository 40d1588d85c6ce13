// Exported functions of local disks, and those this stand-in has no use for.
#include "create-flat.h"
#include "library.h"

#include <cerrno>
#include <unistd.h>

using namespace standin;

EXPORT VixError VixDiskLib_Create(VixConnection *connection, const char *path, const VixCreateParams *params, VixProgressFunc progress, void *data) {
  return guarded("VixDiskLib_Create", [&] {
    require(path && params, "an argument is NULL");
    requireConnected(connection);
    // Remote disks are made by reconfiguring their VM (guide, "Creating virtual disks").
    if (connection->door) throw VixFailure(vix::kNotSupported, "disks of a vCenter are not made through VDDK");
    createFlat(path, *params);
    if (progress) progress(data, 100);
  });
}

EXPORT VixError VixDiskLib_Unlink(VixConnection *connection, const char *path) {
  return guarded("VixDiskLib_Unlink", [&] {
    require(path, "the path is NULL");
    requireConnected(connection);
    if (connection->door) throw VixFailure(vix::kNotSupported, "disks of a vCenter are not deleted through VDDK");
    Descriptor descriptor = Descriptor::read(path);
    for (const DescriptorExtent &extent : descriptor.extents) {
      if (extent.file.empty() || extent.file.find('/') != std::string::npos) continue;
      std::string file = directoryOf(path) + "/" + extent.file;
      if (unlink(file.c_str()) != 0 && errno != ENOENT) throw fileFailure("cannot delete", file, errno);
    }
    if (unlink(path) != 0) throw fileFailure("cannot delete", path, errno);
  });
}

EXPORT VixError VixDiskLib_SpaceNeededForClone(VixDisk *disk, uint32_t diskType, uint64_t *bytes) {
  return guarded("VixDiskLib_SpaceNeededForClone", [&] {
    require(bytes, "the place for the size is NULL");
    requireOpen(disk);
    if (diskType != vix::kDiskMonolithicFlat) throw VixFailure(vix::kNotSupported, "only monolithicFlat is supported");
    *bytes = disk->capacity() * vix::kSectorBytes;
  });
}

EXPORT VixError VixDiskLib_CheckRepair(VixConnection *connection, const char *path, VixBool repair) {
  return guarded("VixDiskLib_CheckRepair", [&] {
    require(path, "the path is NULL");
    requireConnected(connection);
    if (connection->door || repair) throw VixFailure(vix::kNotSupported, "only local disks can be checked, and none repaired");
    openLocalChain(Descriptor::read(path), false, false);
  });
}

// VDDK has these for Workstation's disks; this stand-in has no use for them.
EXPORT VixError VixDiskLib_CreateChild(VixDisk *, const char *, uint32_t, VixProgressFunc, void *) { return vix::kNotSupported; }
EXPORT VixError VixDiskLib_Clone(VixConnection *, const char *, VixConnection *, const char *, const VixCreateParams *, VixProgressFunc, void *, VixBool) {
  return vix::kNotSupported;
}
EXPORT VixError VixDiskLib_Grow(VixConnection *, const char *, VixSector, VixBool, VixProgressFunc, void *) { return vix::kNotSupported; }
EXPORT VixError VixDiskLib_Shrink(VixDisk *, VixProgressFunc, void *) { return vix::kNotSupported; }
EXPORT VixError VixDiskLib_Defragment(VixDisk *, VixProgressFunc, void *) { return vix::kNotSupported; }
EXPORT VixError VixDiskLib_Rename(const char *, const char *) { return vix::kNotSupported; }
EXPORT VixError VixDiskLib_Attach(VixDisk *, VixDisk *) { return vix::kNotSupported; }
EXPORT VixError VixDiskLib_IsAttachPossible(VixDisk *, VixDisk *) { return vix::kNotSupported; }
