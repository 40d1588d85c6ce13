#include "error.h"

#include <cerrno>
#include <cstring>

namespace standin {

VixFailure fileFailure(const std::string &what, const std::string &file, int errorNumber) {
  VixError error = vix::kFileError;
  if (errorNumber == ENOENT || errorNumber == ENOTDIR) error = vix::kFileNotFound;
  if (errorNumber == EACCES || errorNumber == EPERM) error = vix::kFileAccess;
  if (errorNumber == EROFS) error = vix::kFileReadOnly;
  if (errorNumber == ENOSPC || errorNumber == EDQUOT) error = vix::kDiskFull;
  if (errorNumber == EEXIST) error = vix::kFileAlreadyExists;
  return VixFailure(error, what + " \"" + file + "\": " + std::strerror(errorNumber));
}

char *errorText(VixError error) {
  const char *text = "The operation failed.";
  switch (vix::code(error)) {
    case vix::kOk: text = "The operation was successful."; break;
    case vix::kFail: text = "Unknown error."; break;
    case vix::kOutOfMemory: text = "Memory allocation failed. Out of memory."; break;
    case vix::kInvalidArgument: text = "One of the parameters was invalid."; break;
    case vix::kFileNotFound: text = "A file was not found."; break;
    case vix::kObjectIsBusy: text = "The object is busy."; break;
    case vix::kNotSupported: text = "The operation is not supported."; break;
    case vix::kFileError: text = "A file access error occurred on the host."; break;
    case vix::kDiskFull: text = "The disk is full."; break;
    case vix::kIncorrectFileType: text = "The file type is wrong."; break;
    case vix::kFileReadOnly: text = "The file is write-protected."; break;
    case vix::kFileAlreadyExists: text = "The file already exists."; break;
    case vix::kFileAccess: text = "You do not have access rights to this file."; break;
    case vix::kBufferTooSmall: text = "The buffer is too small."; break;
    case vix::kAuthenticationFail: text = "Authentication failed: user name or password is wrong."; break;
    case vix::kHostConnectionLost: text = "The connection to the host was lost."; break;
    case vix::kInvalidSession: text = "The session is not valid."; break;
    case 4000: text = "The virtual machine cannot be found."; break;
    case 13003: text = "The snapshot cannot be found."; break;
    case vix::kServerNotFound: text = "The server cannot be found."; break;
    case vix::kConnectionRefused: text = "The server refused the connection."; break;
    case vix::kTcpConnectionLost: text = "The TCP connection was lost."; break;
    case 14014: text = "The server is shutting down."; break;
    case 14015: text = "The server is not available."; break;
    case vix::kDiskInvalid: text = "The disk is invalid."; break;
    case vix::kDiskOutOfRange: text = "The sectors lie outside the disk."; break;
    case vix::kDiskCidMismatch: text = "The parent disk was modified after the child was made."; break;
    case vix::kDiskUnsupportedVersion: text = "The version of the disk format is not supported."; break;
    case vix::kDiskOpenParent: text = "The parent of this disk could not be opened."; break;
    case vix::kDiskKeyNotFound: text = "The metadata key was not found."; break;
    case vix::kCannotConnectToHost: text = "The host cannot be reached."; break;
  }
  return strdup(text);
}

}  // namespace standin
