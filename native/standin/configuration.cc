#include "configuration.h"

#include "error.h"

#include <cerrno>
#include <cstdlib>
#include <fstream>

namespace standin {
namespace {

std::string trimmed(const std::string &text) {
  size_t start = text.find_first_not_of(" \t\r\"");
  if (start == std::string::npos) return "";
  return text.substr(start, text.find_last_not_of(" \t\r\"") - start + 1);
}

}  // namespace

Configuration Configuration::read(const std::string &file) {
  std::ifstream input(file);
  if (!input) throw fileFailure("cannot read the configuration file", file, errno);
  Configuration result;
  for (std::string line; std::getline(input, line);) {
    size_t equals = line.find('=');
    if (trimmed(line).rfind('#', 0) == 0 || equals == std::string::npos) continue;
    result.values_[trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
  }
  return result;
}

std::string Configuration::text(const std::string &key) const {
  auto found = values_.find(key);
  return found == values_.end() ? "" : found->second;
}

uint64_t Configuration::number(const std::string &key, uint64_t otherwise) const {
  auto found = values_.find(key);
  if (found == values_.end() || found->second.empty()) return otherwise;
  return std::strtoull(found->second.c_str(), nullptr, 10);
}

}  // namespace standin
