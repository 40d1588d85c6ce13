// ConnectParams in memory the library allocated, with strings that live as long as it does.
#pragma once

#include "json.h"
#include "library.h"

namespace host {

class ConnectParameters {
 public:
  // target null: hosted mode, files of this machine. withVm false: for Cleanup, which wants no VM. A target names a VM
  // (vmMoRef) or a first class disk (storageObject {id, datastoreMoRef, snapshotId?}).
  ConnectParameters(const Library &library, const vault::Json &target, bool withVm);
  ~ConnectParameters();
  ConnectParameters(const ConnectParameters &) = delete;
  ConnectParameters &operator=(const ConnectParameters &) = delete;

  const VixConnectParams *get() const { return params_; }

 private:
  void fill(const vault::Json &target, bool withVm);
  void fillSpec(const vault::Json &target);

  const Library &library_;
  VixConnectParams *params_;
  std::string vmxSpec_, diskId_, datastoreMoRef_, diskSnapshotId_, server_, thumbprint_, userName_, secret_, key_;
};

}  // namespace host
