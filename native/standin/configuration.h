// The InitEx configuration file: `key="value"` or `key = value` lines, # begins a comment.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace standin {

class Configuration {
 public:
  Configuration() = default;
  // @throws VixFailure when the file cannot be read: VDDK refuses to start too.
  static Configuration read(const std::string &file);
  // Empty where it is not set.
  std::string text(const std::string &key) const;
  uint64_t number(const std::string &key, uint64_t otherwise) const;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace standin
