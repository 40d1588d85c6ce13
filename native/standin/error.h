#pragma once

#include "vixdisklib_abi.h"

#include <stdexcept>
#include <string>

namespace standin {

// Inside the stand-in failures travel as exceptions; the exported functions turn them into codes.
struct VixFailure : std::runtime_error {
  VixFailure(VixError error, const std::string &message) : std::runtime_error(message), error(error) {}
  VixError error;
};

VixFailure fileFailure(const std::string &what, const std::string &file, int errorNumber);
// Heap copy; VixDiskLib_FreeErrorText frees it.
char *errorText(VixError error);

}  // namespace standin
