#pragma once

#include "vixdisklib_abi.h"

#include <string>

namespace standin {

// A local monolithicFlat disk: descriptor and sparse flat file. @throws VixFailure, leaving nothing half-made.
void createFlat(const std::string &path, const VixCreateParams &params);

}  // namespace standin
