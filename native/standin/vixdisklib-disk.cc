// Exported functions of open disks.
#include "library.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

using namespace standin;

namespace {

// The two-call protocol of texts: first the size, then the text.
void copyOut(const std::string &text, char *buffer, size_t capacity, size_t *required) {
  if (required) *required = text.size() + 1;
  if (!buffer || capacity < text.size() + 1) throw VixFailure(vix::kBufferTooSmall, "the buffer is too small");
  std::memcpy(buffer, text.c_str(), text.size() + 1);
}

}  // namespace

EXPORT VixError VixDiskLib_Open(VixConnection *connection, const char *path, uint32_t flags, VixDisk **result) {
  return guarded("VixDiskLib_Open", [&] {
    require(path && result, "an argument is NULL");
    requireConnected(connection);
    library.ledger.onDesignatedThread("Open");
    if (connection->door && !connection->door->trusted())
      throw VixFailure(vix::kFail, "NBD_ClientOpen: the certificate of " + connection->target.server + " has another thumbprint");
    *result = new VixDisk(*connection, path, flags, library);
    library.ledger.made(Kind::Disk, *result);
    logInfo("Opened '%s' (%s), %llu sectors\n", path, (*result)->transport(), static_cast<unsigned long long>((*result)->capacity()));
  });
}

EXPORT VixError VixDiskLib_Close(VixDisk *disk) {
  return guarded("VixDiskLib_Close", [&] {
    requireOpen(disk);
    library.ledger.onDesignatedThread("Close");
    library.ledger.gone(Kind::Disk, disk);
    std::unique_ptr<VixDisk> owned(disk);
    if (owned->inFlight() > 0) library.ledger.breach("Close comes before Wait while requests are in flight");
    owned->close();
  });
}

EXPORT VixError VixDiskLib_GetInfo(VixDisk *disk, VixInfo **result) {
  return onDisk("VixDiskLib_GetInfo", disk, [&] {
    require(result, "the place for the answer is NULL");
    *result = disk->info(library.major);
    library.ledger.made(Kind::Info, *result);
  });
}

EXPORT void VixDiskLib_FreeInfo(VixInfo *info) {
  if (!info || !library.ledger.gone(Kind::Info, info)) return;
  free(info->parentFileNameHint);
  free(info->uuid);
  free(info);
}

EXPORT const char *VixDiskLib_GetTransportMode(VixDisk *disk) {
  return disk && library.ledger.knows(Kind::Disk, disk) ? disk->transport() : nullptr;
}

EXPORT VixError VixDiskLib_Read(VixDisk *disk, VixSector start, VixSector count, uint8_t *to) {
  return onDisk("VixDiskLib_Read", disk, [&] {
    disk->check(start, count, to, false);
    disk->read(start, count, to);
  });
}

EXPORT VixError VixDiskLib_Write(VixDisk *disk, VixSector start, VixSector count, const uint8_t *from) {
  return onDisk("VixDiskLib_Write", disk, [&] {
    disk->check(start, count, from, true);
    disk->write(start, count, from);
  });
}

EXPORT VixError VixDiskLib_ReadAsync(VixDisk *disk, VixSector start, VixSector count, uint8_t *to, VixCompletion done, void *data) {
  VixError error = onDisk("VixDiskLib_ReadAsync", disk, [&] {
    require(done, "the completion function is NULL");
    disk->check(start, count, to, false);
    disk->submit(false, start, count, to, done, data);
  });
  return error == vix::kOk ? static_cast<VixError>(vix::kAsync) : error;
}

EXPORT VixError VixDiskLib_WriteAsync(VixDisk *disk, VixSector start, VixSector count, const uint8_t *from, VixCompletion done, void *data) {
  VixError error = onDisk("VixDiskLib_WriteAsync", disk, [&] {
    require(done, "the completion function is NULL");
    disk->check(start, count, from, true);
    disk->submit(true, start, count, const_cast<uint8_t *>(from), done, data);
  });
  return error == vix::kOk ? static_cast<VixError>(vix::kAsync) : error;
}

EXPORT VixError VixDiskLib_Wait(VixDisk *disk) {
  return onDisk("VixDiskLib_Wait", disk, [&] {
    disk->wait();
  });
}

EXPORT VixError VixDiskLib_Flush(VixDisk *disk) {
  return onDisk("VixDiskLib_Flush", disk, [&] {
    disk->flush();
  });
}

EXPORT VixError VixDiskLib_QueryAllocatedBlocks(VixDisk *disk, VixSector start, VixSector count, VixSector chunk, VixBlockList **result) {
  return onDisk("VixDiskLib_QueryAllocatedBlocks", disk, [&] {
    library.ledger.onDesignatedThread("QueryAllocatedBlocks");
    require(result, "the place for the answer is NULL");
    std::vector<VixBlock> blocks = disk->queryAllocated(start, count, chunk);
    auto *list = static_cast<VixBlockList *>(malloc(offsetof(VixBlockList, blocks) + std::max<size_t>(blocks.size(), 1) * sizeof(VixBlock)));
    if (!list) throw std::bad_alloc();
    list->numBlocks = static_cast<uint32_t>(blocks.size());
    std::copy(blocks.begin(), blocks.end(), list->blocks);
    library.ledger.made(Kind::BlockList, list);
    *result = list;
  });
}

EXPORT VixError VixDiskLib_FreeBlockList(VixBlockList *list) {
  if (list && library.ledger.gone(Kind::BlockList, list)) free(list);
  return vix::kOk;
}

EXPORT VixError VixDiskLib_GetMetadataKeys(VixDisk *disk, char *keys, size_t capacity, size_t *required) {
  // Asking for the size is part of the protocol, not worth a warning.
  if (disk && required && (!keys || capacity == 0)) {
    *required = 1;
    for (const auto &entry : disk->metadata()) *required += entry.first.size() + 1;
    return vix::kBufferTooSmall;
  }
  return onDisk("VixDiskLib_GetMetadataKeys", disk, [&] {
    std::string list;
    for (const auto &metadata : disk->metadata()) list += metadata.first + '\0';
    copyOut(list, keys, capacity, required);
  });
}

EXPORT VixError VixDiskLib_ReadMetadata(VixDisk *disk, const char *key, char *buffer, size_t capacity, size_t *required) {
  if (disk && key && required && (!buffer || capacity == 0)) {
    auto found = disk->metadata().find(key);
    if (found != disk->metadata().end()) {
      *required = found->second.size() + 1;
      return vix::kBufferTooSmall;
    }
  }
  return onDisk("VixDiskLib_ReadMetadata", disk, [&] {
    require(key, "the key is NULL");
    auto found = disk->metadata().find(key);
    if (found == disk->metadata().end()) throw VixFailure(vix::kDiskKeyNotFound, std::string("no metadata key ") + key);
    copyOut(found->second, buffer, capacity, required);
  });
}

EXPORT VixError VixDiskLib_WriteMetadata(VixDisk *disk, const char *key, const char *value) {
  return onDisk("VixDiskLib_WriteMetadata", disk, [&] {
    require(key && value && !std::strpbrk(key, "\"\n=") && !std::strpbrk(value, "\"\n"), "a key and a value on one line, without quotes, are needed");
    disk->setMetadata(key, value);
  });
}
