// ConnectParams in memory the library allocated, with strings that live as long as it does.
#pragma once

#include "json.h"
#include "library.h"

namespace host {

class ConnectParameters {
 public:
  // target null: hosted mode, files of this machine. withVm false: for Cleanup, which wants no VM.
  ConnectParameters(const Library &library, const vault::Json &target, bool withVm);
  ~ConnectParameters();
  ConnectParameters(const ConnectParameters &) = delete;
  ConnectParameters &operator=(const ConnectParameters &) = delete;

  const VixConnectParams *get() const { return params_; }

 private:
  void fill(const vault::Json &target, bool withVm);

  const Library &library_;
  VixConnectParams *params_;
  std::string vmxSpec_, server_, thumbprint_, userName_, secret_, key_;
};

}  // namespace host
