#include "connect-parameters.h"

#include "library-log.h"

#include <cstdlib>
#include <new>

namespace host {
namespace {

// Room for fields later releases may append, where the library cannot allocate the struct itself.
constexpr size_t kGenerousBytes = 1024;

}  // namespace

ConnectParameters::ConnectParameters(const Library &library, const vault::Json &target, bool withVm) : library_(library) {
  params_ = library.AllocateConnectParams ? library.AllocateConnectParams() : static_cast<VixConnectParams *>(calloc(1, kGenerousBytes));
  if (!params_) throw std::bad_alloc();
  if (!target.isNull()) fill(target, withVm);
}

ConnectParameters::~ConnectParameters() {
  // FreeConnectParams is for what AllocateConnectParams made, and for nothing else.
  if (!library_.AllocateConnectParams) free(params_);
  else if (library_.FreeConnectParams) library_.FreeConnectParams(params_);
}

void ConnectParameters::fill(const vault::Json &target, bool withVm) {
  const vault::Json &credentials = target["credentials"];
  bool session = credentials["kind"].string() == "session";
  server_ = target["host"].string();
  thumbprint_ = target["thumbprint"].string();
  userName_ = credentials["userName"].string();
  secret_ = credentials[session ? "cookie" : "password"].string();
  hideInLog(secret_);
  params_->serverName = server_.data();
  params_->thumbPrint = thumbprint_.data();
  params_->port = static_cast<uint32_t>(target["port"].u64());
  if (withVm) fillSpec(target);
  if (session) {
    params_->credentialType = VIX_CRED_SESSION_ID;
    params_->credentials.session = {secret_.data(), userName_.data(), key_.data()};
  } else {
    params_->credentialType = VIX_CRED_UID;
    params_->credentials.uid = {userName_.data(), secret_.data()};
  }
}

void ConnectParameters::fillSpec(const vault::Json &target) {
  const vault::Json &disk = target["storageObject"];
  if (disk.isNull()) {
    vmxSpec_ = "moref=" + target["vmMoRef"].string();
    params_->vmxSpec = vmxSpec_.data();
    params_->specType = VIX_SPEC_VMX;
    return;
  }
  diskId_ = disk["id"].string();
  datastoreMoRef_ = disk["datastoreMoRef"].string();
  diskSnapshotId_ = disk["snapshotId"].stringOr("");
  params_->storageObject = {diskId_.data(), datastoreMoRef_.data(), diskSnapshotId_.empty() ? nullptr : diskSnapshotId_.data()};
  params_->specType = VIX_SPEC_STORAGE_OBJECT;
}

}  // namespace host
