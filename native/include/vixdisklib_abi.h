// The binary interface of VMware's libvixDiskLib (VDDK 6.7 to 9, Linux x86-64), written down from
// measured layouts and public callers, because VMware's own header may not be redistributed.
//
// Only what we call or export is here. Layouts are guarded by static_assert: a struct that grew by
// one field would make VDDK read our stack.
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {

using VixError = uint64_t;
using VixBool = char;
using VixSector = uint64_t;

using VixLogFunc = void(const char *format, va_list arguments);
using VixProgressFunc = VixBool (*)(void *data, int percent);
using VixCompletion = void (*)(void *data, VixError result);

struct VixConnection;
struct VixDisk;

enum VixCredentialType : uint32_t {
  VIX_CRED_UID = 1,
  VIX_CRED_SESSION_ID = 2,
  VIX_CRED_TICKET_ID = 3,
  VIX_CRED_SSPI = 4,
};

enum VixSpecType : uint32_t { VIX_SPEC_VMX = 0, VIX_SPEC_STORAGE_OBJECT = 1 };

union VixCredentials {
  struct {
    char *userName;
    char *password;
  } uid;
  struct {
    char *cookie;
    char *userName;
    char *key;
  } session;
  void *ticket;
};

struct VixConnectParams {
  char *vmxSpec;
  char *serverName;
  char *thumbPrint;
  long privateUse;
  uint32_t credentialType;
  VixCredentials credentials;
  uint32_t port;
  uint32_t nfcHostPort;
  char *vimApiVersion;
  char reserved[8];
  void *state;
  struct {
    char *id;
    char *datastoreMoRef;
    char *ssId;
  } storageObject;
  uint32_t specType;
};

struct VixGeometry {
  uint32_t cylinders;
  uint32_t heads;
  uint32_t sectors;
};

struct VixInfo {
  VixGeometry biosGeometry;
  VixGeometry physicalGeometry;
  VixSector capacity;
  uint32_t adapterType;
  int32_t numLinks;
  char *parentFileNameHint;
  char *uuid;
  // The library fills these two from 7.0 on. In a 6.x they lie outside its allocation.
  uint32_t logicalSectorSize;
  uint32_t physicalSectorSize;
};

struct VixBlock {
  VixSector offset;
  VixSector length;
};

struct VixBlockList {
  uint32_t numBlocks;
  VixBlock blocks[1];
};

struct VixCreateParams {
  uint32_t diskType;
  uint32_t adapterType;
  uint16_t hwVersion;
  VixSector capacity;
  uint32_t logicalSectorSize;
  uint32_t physicalSectorSize;
};

}  // extern "C"

static_assert(sizeof(void *) == 8 && sizeof(long) == 8 && sizeof(size_t) == 8, "the 64-bit System V ABI is assumed");
static_assert(sizeof(VixConnectParams) == 128 && alignof(VixConnectParams) == 8);
static_assert(offsetof(VixConnectParams, serverName) == 8 && offsetof(VixConnectParams, thumbPrint) == 16);
static_assert(offsetof(VixConnectParams, privateUse) == 24 && offsetof(VixConnectParams, credentialType) == 32);
static_assert(offsetof(VixConnectParams, credentials) == 40 && sizeof(VixCredentials) == 24);
static_assert(offsetof(VixConnectParams, port) == 64 && offsetof(VixConnectParams, nfcHostPort) == 68);
static_assert(offsetof(VixConnectParams, vimApiVersion) == 72 && offsetof(VixConnectParams, reserved) == 80);
static_assert(offsetof(VixConnectParams, state) == 88 && offsetof(VixConnectParams, storageObject) == 96);
static_assert(offsetof(VixConnectParams, specType) == 120);
static_assert(sizeof(VixInfo) == 64 && offsetof(VixInfo, physicalGeometry) == 12 && offsetof(VixInfo, capacity) == 24);
static_assert(offsetof(VixInfo, adapterType) == 32 && offsetof(VixInfo, numLinks) == 36);
static_assert(offsetof(VixInfo, parentFileNameHint) == 40 && offsetof(VixInfo, uuid) == 48);
static_assert(offsetof(VixInfo, logicalSectorSize) == 56 && offsetof(VixInfo, physicalSectorSize) == 60);
static_assert(sizeof(VixBlock) == 16 && offsetof(VixBlockList, blocks) == 8);
static_assert(sizeof(VixCreateParams) == 32 && offsetof(VixCreateParams, hwVersion) == 8);
static_assert(offsetof(VixCreateParams, capacity) == 16 && offsetof(VixCreateParams, logicalSectorSize) == 24);

namespace vix {

constexpr uint64_t kSectorBytes = 512;
// QueryAllocatedBlocks: smallest unit, in sectors, and most units of one call.
constexpr uint64_t kMinChunkSectors = 128;
constexpr uint64_t kMaxChunksPerCall = 512 * 1024;

enum OpenFlags : uint32_t {
  kOpenUnbuffered = 1,
  kOpenSingleLink = 2,
  kOpenReadOnly = 4,
  kOpenCompressionZlib = 16,
  kOpenCompressionFastLz = 32,
  kOpenCompressionSkipZ = 64,
  kOpenCompressionMask = 112,
};

enum DiskType : uint32_t { kDiskMonolithicFlat = 2 };
enum AdapterType : uint32_t { kAdapterIde = 1, kAdapterBusLogic = 2, kAdapterLsiLogic = 3, kAdapterUnknown = 256 };

// The class of an error is its low half; the library may keep further facts above it.
constexpr VixError code(VixError error) { return error & 0xffff; }

enum Code : VixError {
  kOk = 0,
  kFail = 1,
  kOutOfMemory = 2,
  kInvalidArgument = 3,
  kFileNotFound = 4,
  kObjectIsBusy = 5,
  kNotSupported = 6,
  kFileError = 7,
  kDiskFull = 8,
  kIncorrectFileType = 9,
  kFileReadOnly = 11,
  kFileAlreadyExists = 12,
  kFileAccess = 13,
  kBufferTooSmall = 24,
  kInvalidHandle = 1000,
  kAuthenticationFail = 35,
  kHostConnectionLost = 36,
  kInvalidSession = 3047,
  kServerNotFound = 14008,
  kConnectionRefused = 14009,
  kTcpConnectionLost = 14011,
  kDiskInvalid = 16000,
  kDiskOutOfRange = 16007,
  kDiskCidMismatch = 16008,
  kDiskUnsupportedVersion = 16011,
  kDiskOpenParent = 16012,
  kDiskKeyNotFound = 16052,
  kDiskInvalidConnection = 16054,
  kCannotConnectToHost = 18000,
  kAsync = 25000,
};

}  // namespace vix
