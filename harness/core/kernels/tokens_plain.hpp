// Transactions in JSON whose text is canonical but for blanks: equal ones have equal texts without
// blanks, and no other JSON text is equal to one of them. So they need not be decoded to be told
// apart. They hold lists, integers of 18 digits at most, true, false, null, and strings of printable
// ASCII without escapes.
#pragma once
#include "tokens_table.hpp"

namespace tokens {

class PlainScanner {
 public:
  PlainScanner(const char* at, const char* end, std::string& scratch)
      : begin_(at), at_(at), end_(end), run_(at), scratch_(scratch) {
    scratch_.clear();
  }
  // Whether a list begins here that is plain; it is scanned then.
  bool list() {
    do {
      if (!opened_or_scalar()) return false;
      while (depth_ > 0 && after_value_) {
        blanks();
        if (at_ == end_) return false;
        if (*at_ == ',') {
          ++at_;
          after_value_ = false;
          blanks();
        } else if (*at_ == ']') {
          ++at_;
          --depth_;
        } else {
          return false;
        }
      }
    } while (depth_ > 0);
    return true;
  }
  const char* at() const { return at_; }
  // The text without blanks; it lies in the scratch if there were any.
  Span text() {
    if (scratch_.empty()) return {begin_, at_};
    scratch_.append(run_, at_);
    return {scratch_.data(), scratch_.data() + scratch_.size()};
  }

 private:
  static constexpr int DEPTH_MAX = 64;

  void blanks() {
    if (at_ == end_ || !blank()) return;
    scratch_.append(run_, at_);
    while (at_ != end_ && blank()) ++at_;
    run_ = at_;
  }
  bool blank() const { return *at_ == ' ' || *at_ == '\t' || *at_ == '\r'; }
  // The beginning of a list, or an empty one, or a scalar.
  bool opened_or_scalar() {
    if (at_ == end_) return false;
    switch (*at_) {
      case '[':
        if (++depth_ > DEPTH_MAX) return false;
        ++at_;
        blanks();
        after_value_ = at_ != end_ && *at_ == ']';
        return true;
      case '"': after_value_ = true; return string();
      case 'n': after_value_ = true; return word("null");
      case 't': after_value_ = true; return word("true");
      case 'f': after_value_ = true; return word("false");
      default: after_value_ = true; return integer();
    }
  }
  bool word(std::string_view text) {
    if (static_cast<std::size_t>(end_ - at_) < text.size()) return false;
    if (std::memcmp(at_, text.data(), text.size()) != 0) return false;
    at_ += text.size();
    return true;
  }
  bool string() {
    for (++at_; at_ != end_; ++at_) {
      if (*at_ == '"') {
        ++at_;
        return true;
      }
      if (*at_ == '\\' || *at_ < 0x20 || *at_ > 0x7e) return false;
    }
    return false;
  }
  bool integer() {
    const bool minus = *at_ == '-';
    if (minus) ++at_;
    const char* digits = at_;
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
    const auto count = at_ - digits;
    return count > 0 && count <= 18 && (*digits != '0' || (count == 1 && !minus));
  }

  const char* const begin_;
  const char* at_;
  const char* const end_;
  const char* run_;  // what lies from here on is not in the scratch
  std::string& scratch_;
  int depth_ = 0;
  bool after_value_ = false;
};

// Whether a plain transaction begins here: a list of lists that begin with a string. Moves at behind
// it, and gives its text.
inline bool plain_transaction(const char*& at, const char* end, Span& text, std::string& scratch) {
  if (at == end || *at != '[') return false;
  PlainScanner scanner(at, end, scratch);
  if (!scanner.list()) return false;
  text = scanner.text();
  if (text.size() < 3 || std::memcmp(text.begin, "[[\"", 3) != 0) return false;
  at = scanner.at();
  return true;
}

}  // namespace tokens
