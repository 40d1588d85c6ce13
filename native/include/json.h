// Just enough JSON for our control channels: small messages, UTF-8, 64-bit numbers as decimal strings.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace vault {

struct JsonError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Json {
 public:
  enum class Kind { Null, Bool, Number, String, Array, Object };
  using Member = std::pair<std::string, Json>;

  Json() = default;
  Json(bool value) : kind_(Kind::Bool), bool_(value) {}
  Json(int value) : kind_(Kind::Number), number_(value) {}
  Json(uint32_t value) : kind_(Kind::Number), number_(value) {}
  Json(const char *value) : kind_(Kind::String), string_(value) {}
  Json(std::string value) : kind_(Kind::String), string_(std::move(value)) {}
  static Json array() { return Json(Kind::Array); }
  static Json object() { return Json(Kind::Object); }
  // JavaScript numbers end at 2^53; sector counts and error words do not.
  static Json u64(uint64_t value) { return Json(std::to_string(value)); }

  static Json parse(const std::string &text) {
    Parser parser{text.data(), text.data() + text.size()};
    Json value = parser.value(0);
    parser.space();
    if (parser.at != parser.end) throw JsonError("text after the JSON value");
    return value;
  }

  Kind kind() const { return kind_; }
  bool isNull() const { return kind_ == Kind::Null; }
  bool isString() const { return kind_ == Kind::String; }

  Json &set(std::string key, Json value) {
    members_.emplace_back(std::move(key), std::move(value));
    return *this;
  }
  Json &push(Json value) {
    items_.push_back(std::move(value));
    return *this;
  }

  const std::vector<Json> &items() const { return items_; }
  const std::vector<Member> &members() const { return members_; }

  const Json &operator[](const std::string &key) const {
    static const Json none;
    for (const Member &member : members_)
      if (member.first == key) return member.second;
    return none;
  }

  const std::string &string() const {
    if (kind_ != Kind::String) throw JsonError("a string was expected");
    return string_;
  }
  std::string stringOr(const std::string &otherwise) const { return kind_ == Kind::String ? string_ : otherwise; }
  bool boolOr(bool otherwise) const { return kind_ == Kind::Bool ? bool_ : otherwise; }

  uint64_t u64() const {
    if (kind_ == Kind::Number && number_ >= 0 && number_ < 9007199254740992.0 && number_ == static_cast<double>(static_cast<uint64_t>(number_)))
      return static_cast<uint64_t>(number_);
    if (kind_ == Kind::String && !string_.empty() && string_.find_first_not_of("0123456789") == std::string::npos && string_.size() <= 19)
      return std::strtoull(string_.c_str(), nullptr, 10);
    throw JsonError("a whole number was expected");
  }
  uint64_t u64Or(uint64_t otherwise) const { return kind_ == Kind::Null ? otherwise : u64(); }

  std::string dump() const {
    std::string out;
    write(out);
    return out;
  }

 private:
  explicit Json(Kind kind) : kind_(kind) {}

  struct Parser {
    const char *at;
    const char *end;

    void space() {
      while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
    }
    bool take(char c) {
      space();
      if (at >= end || *at != c) return false;
      at++;
      return true;
    }
    void expect(char c) {
      if (!take(c)) throw JsonError(std::string("'") + c + "' was expected");
    }
    void word(const char *text) {
      for (; *text; text++, at++)
        if (at >= end || *at != *text) throw JsonError("an unknown word");
    }
    Json value(int depth) {
      if (depth > 32) throw JsonError("nested too deeply");
      space();
      if (at >= end) throw JsonError("the JSON value is cut off");
      switch (*at) {
        case '{': return objectValue(depth);
        case '[': return arrayValue(depth);
        case '"': return Json(text());
        case 't': word("true"); return Json(true);
        case 'f': word("false"); return Json(false);
        case 'n': word("null"); return Json();
        default: return number();
      }
    }
    Json objectValue(int depth) {
      Json result = Json::object();
      expect('{');
      if (take('}')) return result;
      do {
        space();
        std::string key = text();
        expect(':');
        result.set(std::move(key), value(depth + 1));
      } while (take(','));
      expect('}');
      return result;
    }
    Json arrayValue(int depth) {
      Json result = Json::array();
      expect('[');
      if (take(']')) return result;
      do result.push(value(depth + 1));
      while (take(','));
      expect(']');
      return result;
    }
    Json number() {
      const char *start = at;
      while (at < end && ((*at >= '0' && *at <= '9') || *at == '-' || *at == '+' || *at == '.' || *at == 'e' || *at == 'E')) at++;
      std::string digits(start, at);
      char *stop = nullptr;
      double parsed = std::strtod(digits.c_str(), &stop);
      if (digits.empty() || *stop != '\0') throw JsonError("a number was expected");
      Json result(Kind::Number);
      result.number_ = parsed;
      return result;
    }
    uint32_t hex4() {
      uint32_t unit = 0;
      for (int i = 0; i < 4; i++, at++) {
        if (at >= end) throw JsonError("a cut-off escape");
        char c = *at;
        uint32_t digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
        if (digit == 16) throw JsonError("a bad escape");
        unit = unit * 16 + digit;
      }
      return unit;
    }
    void escape(std::string &out) {
      if (at >= end) throw JsonError("a cut-off escape");
      char c = *at++;
      switch (c) {
        case 'n': out += '\n'; return;
        case 't': out += '\t'; return;
        case 'r': out += '\r'; return;
        case 'b': out += '\b'; return;
        case 'f': out += '\f'; return;
        case '"': case '\\': case '/': out += c; return;
        case 'u': break;
        default: throw JsonError("a bad escape");
      }
      uint32_t point = hex4();
      if (point >= 0xd800 && point < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        at += 2;
        point = 0x10000 + ((point - 0xd800) << 10) + ((hex4() - 0xdc00) & 0x3ff);
      }
      if (point < 0x80) out += static_cast<char>(point);
      else if (point < 0x800) { out += static_cast<char>(0xc0 | point >> 6); out += static_cast<char>(0x80 | (point & 63)); }
      else if (point < 0x10000) {
        out += static_cast<char>(0xe0 | point >> 12); out += static_cast<char>(0x80 | (point >> 6 & 63));
        out += static_cast<char>(0x80 | (point & 63));
      } else {
        out += static_cast<char>(0xf0 | point >> 18); out += static_cast<char>(0x80 | (point >> 12 & 63));
        out += static_cast<char>(0x80 | (point >> 6 & 63)); out += static_cast<char>(0x80 | (point & 63));
      }
    }
    std::string text() {
      if (at >= end || *at != '"') throw JsonError("a string was expected");
      at++;
      std::string out;
      while (at < end && *at != '"') {
        if (*at == '\\') { at++; escape(out); }
        else out += *at++;
      }
      if (at >= end) throw JsonError("a cut-off string");
      at++;
      return out;
    }
  };

  static void writeText(std::string &out, const std::string &text) {
    out += '"';
    for (unsigned char c : text) {
      if (c == '"' || c == '\\') { out += '\\'; out += static_cast<char>(c); }
      else if (c < 0x20) { char escaped[8]; std::snprintf(escaped, sizeof escaped, "\\u%04x", c); out += escaped; }
      else out += static_cast<char>(c);
    }
    out += '"';
  }

  void write(std::string &out) const {
    switch (kind_) {
      case Kind::Null: out += "null"; return;
      case Kind::Bool: out += bool_ ? "true" : "false"; return;
      case Kind::Number: { char digits[32]; std::snprintf(digits, sizeof digits, "%.17g", number_); out += digits; return; }
      case Kind::String: writeText(out, string_); return;
      case Kind::Array: {
        out += '[';
        for (size_t i = 0; i < items_.size(); i++) { if (i) out += ','; items_[i].write(out); }
        out += ']';
        return;
      }
      case Kind::Object: {
        out += '{';
        for (size_t i = 0; i < members_.size(); i++) {
          if (i) out += ',';
          writeText(out, members_[i].first);
          out += ':';
          members_[i].second.write(out);
        }
        out += '}';
      }
    }
  }

  Kind kind_ = Kind::Null;
  bool bool_ = false;
  double number_ = 0;
  std::string string_;
  std::vector<Json> items_;
  std::vector<Member> members_;
};

}  // namespace vault
