// The line to the simulated vCenter: VIXSIM/1, newline-delimited JSON over one TCP connection,
// one request and one response at a time. It stands where VDDK speaks SOAP and NFC.
#pragma once

#include "json.h"
#include "vixdisklib_abi.h"

#include <mutex>
#include <string>

namespace standin {

// What ConnectParams names, copied: the caller may free its strings after the call.
struct Target {
  std::string vmxSpec;  // "moref=vm-16"
  std::string server;
  uint16_t port = 443;
  std::string thumbprint;
  bool session = false;
  std::string userName;
  std::string secret;  // password, or the session's cookie
  // A first class disk instead of a VM, and its snapshot or "".
  bool storageObject = false;
  std::string diskId, datastoreMoRef, diskSnapshot;

  std::string vmMoRef() const;
};

class Door {
 public:
  // Dials and says hello. A thumbprint the server does not have shows only at Open, as in VDDK:
  // trusted() is false then.
  Door(const Target &target, int answerTimeoutSeconds, bool authenticate = true);
  ~Door();
  Door(const Door &) = delete;
  Door &operator=(const Door &) = delete;

  bool trusted() const { return trusted_; }
  // Whether the other side wants to hear of broken rules.
  bool strict() const { return strict_; }
  // -> the response. @throws VixFailure with the vixError of a refusal, or 14011 when the line breaks.
  vault::Json ask(const vault::Json &request);

 private:
  void dial(const std::string &server, uint16_t port, int answerTimeoutSeconds);
  void send(const std::string &text);
  std::string receiveLine();

  int socket_ = -1;
  bool trusted_ = true;
  bool strict_ = false;
  std::string received_;
  std::mutex mutex_;
};

}  // namespace standin
