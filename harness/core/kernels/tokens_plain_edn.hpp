// Transactions in EDN whose JSON is plain (see tokens_plain.hpp), to JSON in one pass.
#pragma once
#include "tokens_json_of_edn.hpp"

namespace tokens {

// What append_json would make of such a form. It gives up at whatever is not usual, and then says
// nothing: not even that the form is none.
class PlainEdn {
 public:
  // The JSON of a transaction that begins here; moves at behind it. Valid until the next call.
  bool transaction(const char*& at, const char* end, Span& text) {
    at_ = at;
    end_ = end;
    to_ = 0;
    depth_ = 0;
    if (!nested()) return false;
    do {
      // A token is at most 20 bytes longer here, and checked where it may be long.
      reserve(64);
      while (at_ != end_ && tokens::blank(*at_)) ++at_;
      if (at_ == end_ || !token()) return false;
    } while (depth_ > 0);
    text = {out_.data(), out_.data() + to_};
    if (text.size() < 3 || std::memcmp(text.begin, "[[\"", 3) != 0) return false;
    at = at_;
    return true;
  }

 private:
  static constexpr int DEPTH_MAX = 16;

  bool nested() const {
    const char* at = at_;
    if (at == end_ || *at != '[') return false;
    ++at;
    skip_blanks(at, end_);
    return at != end_ && *at == '[';
  }
  void reserve(std::size_t count) {
    if (out_.size() - to_ < count) out_.resize(2 * out_.size() + count);
  }
  void put(char c) { out_[to_++] = c; }
  void put(const char* begin, std::size_t size) {
    std::memcpy(&out_[to_], begin, size);
    to_ += size;
  }
  void separate() {
    if (to_ > 0 && out_[to_ - 1] != '[') put(',');
  }
  // Whether what was read ends here.
  bool ended() const { return at_ != end_ && is(*at_, BLANK | BRACKET); }

  bool token() {
    const char c = *at_;
    if (digit(c)) return integer();
    switch (c) {
      case '[':
        if (++depth_ > DEPTH_MAX) return false;
        separate();
        put(c);
        ++at_;
        return true;
      case ']':
        --depth_;
        put(c);
        ++at_;
        return true;
      case ':': return keyword();
      case 'n': return word("nil", "null");
      case 't': return word("true", "true");
      case 'f': return word("false", "false");
      case '"': return string();
      default: return false;
    }
  }
  bool integer() {
    separate();
    const char* const begin = at_;
    do put(*at_++);
    while (at_ != end_ && digit(*at_) && at_ - begin < 18);
    return ended() && (*begin != '0' || at_ - begin == 1);
  }
  bool word(std::string_view edn, std::string_view json) {
    if (static_cast<std::size_t>(end_ - at_) < edn.size()) return false;
    if (std::memcmp(at_, edn.data(), edn.size()) != 0) return false;
    at_ += edn.size();
    separate();
    put(json.data(), json.size());
    return ended();
  }
  bool keyword() {
    const char* const begin = ++at_;
    while (at_ != end_ && atom_goes_on(*at_)) ++at_;
    quote(begin);
    return ended();
  }
  bool string() {
    const char* const begin = ++at_;
    for (; at_ != end_; ++at_) {
      if (*at_ == '"') {
        quote(begin);
        ++at_;
        return true;
      }
      if (*at_ == '\\' || *at_ < 0x20 || *at_ > 0x7e) return false;
    }
    return false;
  }
  void quote(const char* begin) {
    const std::size_t size = static_cast<std::size_t>(at_ - begin);
    reserve(size + 64);
    separate();
    put('"');
    put(begin, size);
    put('"');
  }

  const char* at_ = nullptr;
  const char* end_ = nullptr;
  std::vector<char> out_;
  std::size_t to_ = 0;
  int depth_ = 0;
};

}  // namespace tokens
