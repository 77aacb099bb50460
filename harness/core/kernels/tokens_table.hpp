// What the tokenizers share: a cursor that never passes its end, tables of distinct spans, and rows.
#pragma once
#include "blocks.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace tokens {

using i64 = std::int64_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;

// USUAL: read. UNUSUAL: let Python read the whole file. MORE: the bytes end within a form.
enum class Found { USUAL, UNUSUAL, MORE };

struct Span {
  const char* begin = nullptr;
  const char* end = nullptr;
  std::size_t size() const { return static_cast<std::size_t>(end - begin); }
  std::string_view view() const { return {begin, size()}; }
  bool is(std::string_view text) const { return view() == text; }
};

// Kinds of bytes. ATOM: what an atom of EDN may hold (it may hold a backslash too, which is unusual).
enum Kind : unsigned char { BLANK = 1, BRACKET = 2, ATOM = 4, SCALAR = 8 };
struct Kinds {
  unsigned char of[256] = {};
  constexpr Kinds() {
    for (int c = 0x21; c < 0x7f; ++c) of[c] = ATOM;
    for (unsigned char c : {' ', ',', '\t', '\n', '\v', '\f', '\r'}) of[c] = BLANK;
    for (unsigned char c : {'(', ')', '[', ']', '{', '}', '"', ';'}) of[c] = BRACKET;
    of[static_cast<unsigned char>('\\')] = 0;
    for (int c = '0'; c <= '9'; ++c) of[c] |= SCALAR;
    for (int c = 'a'; c <= 'z'; ++c) of[c] |= SCALAR;
    for (int c = 'A'; c <= 'Z'; ++c) of[c] |= SCALAR;
    for (unsigned char c : {'+', '-', '.'}) of[c] |= SCALAR;
  }
};
inline constexpr Kinds KINDS;
inline bool is(char c, int kinds) { return (KINDS.of[static_cast<unsigned char>(c)] & kinds) != 0; }

// The place of a span among some words, -1 if it is none of them.
template <int N>
int place(Span span, const std::string_view (&words)[N]) {
  for (int i = 0; i < N; ++i) {
    if (words[i].size() == span.size() && words[i][0] == *span.begin && span.is(words[i])) return i;
  }
  return -1;
}

// Brackets that are open, without recursion. Deeper than this is unusual.
class Brackets {
 public:
  static constexpr int DEPTH_MAX = 64;
  bool open(char closer) {
    if (depth_ == DEPTH_MAX) return false;
    closers_[depth_++] = closer;
    return true;
  }
  bool close(char closer) { return depth_ > 0 && closers_[--depth_] == closer; }
  int depth() const { return depth_; }

 private:
  char closers_[DEPTH_MAX];
  int depth_ = 0;
};

// A whole number from 0 of at most 18 digits (which never overflows); -1 for anything else.
inline i64 natural(Span span) {
  if (span.size() == 0 || span.size() > 18) return -1;
  i64 value = 0;
  for (const char* at = span.begin; at != span.end; ++at) {
    if (*at < '0' || *at > '9') return -1;
    value = 10 * value + (*at - '0');
  }
  return value;
}

// Distinct spans of bytes and their codes, from 1 in order of appearance (0 is the null value). Some
// are deferred: nobody needs what they mean before somebody asks for it.
class Table {
 public:
  // How the spans are kept that are not deferred: with this character after each.
  explicit Table(char separator) : separator_(separator) {}

  // The code of these bytes, 0 if there is no room for another. fresh: they were not there before.
  // The same bytes must not be deferred once, and then not.
  i32 code(Span span, bool& fresh, bool deferred = false) {
    const u64 hash = hashed(span);
    std::size_t slot = hash & mask();
    while (i32 code = slots_[slot]) {
      const Entry& entry = entries_[static_cast<std::size_t>(code - 1)];
      if (entry.hash == hash && entry.size == span.size() &&
          std::memcmp(entry.begin, span.begin, entry.size) == 0) {
        fresh = false;
        return code;
      }
      slot = (slot + 1) & mask();
    }
    if (entries_.size() >= ENTRIES_MAX) return 0;
    fresh = true;
    const i32 code = static_cast<i32>(entries_.size() + 1);
    if (deferred) deferred_codes_.push_back(code);
    entries_.push_back({hash, kept(span, deferred), span.size()});
    slots_[slot] = code;
    if (2 * entries_.size() > slots_.size()) grow();
    return code;
  }
  std::size_t count() const { return entries_.size(); }
  Span span(i32 code) const {
    const Entry& entry = entries_[static_cast<std::size_t>(code - 1)];
    return {entry.begin, entry.begin + entry.size};
  }
  const std::vector<i32>& deferred_codes() const { return deferred_codes_; }

  // Leaves nothing but the bytes; then these can be taken: all spans, with the separator after each
  // of those that are not deferred.
  void forget() {
    std::vector<Entry>().swap(entries_);
    std::vector<i32>().swap(slots_);
  }
  Blocks plain, deferred_text;

 private:
  struct Entry {
    u64 hash;
    const char* begin;
    std::size_t size;
  };
  static constexpr std::size_t ENTRIES_MAX = std::size_t{1} << 30;

  const char* kept(Span span, bool deferred) {
    Blocks& blocks = deferred ? deferred_text : plain;
    const std::size_t size = span.size() + (deferred ? 0 : 1);
    char* begin = blocks.room(size);
    std::memcpy(begin, span.begin, span.size());
    if (!deferred) begin[span.size()] = separator_;
    blocks.advance(size);
    return begin;
  }
  std::size_t mask() const { return slots_.size() - 1; }
  static u64 mixed(u64 hash, u64 word) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    return hash ^ (hash >> 32);
  }
  static u64 hashed(Span span) {
    u64 hash = span.size();
    const char* at = span.begin;
    for (; span.end - at >= 8; at += 8) {
      u64 word;
      std::memcpy(&word, at, 8);
      hash = mixed(hash, word);
    }
    u64 word = 0;
    if (at != span.end) std::memcpy(&word, at, static_cast<std::size_t>(span.end - at));
    return mixed(hash, word);
  }
  void grow() {
    std::vector<i32> slots(4 * slots_.size());
    slots_.swap(slots);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      std::size_t slot = entries_[i].hash & mask();
      while (slots_[slot] != 0) slot = (slot + 1) & mask();
      slots_[slot] = static_cast<i32>(i + 1);
    }
  }

  char separator_;
  std::vector<Entry> entries_;
  std::vector<i32> slots_ = std::vector<i32>(64);
  std::vector<i32> deferred_codes_;
};

enum Column { INDEX, TIME, PROCESS, TYPE, F, KEY, VALUE, LAST, COLUMNS };
enum Which { FUNCTIONS, KEYS, VALUES, NODES, ERRORS, EXTRAS, TABLES };
constexpr i64 NEMESIS = -1, NONE = -1;

// One event. LAST is the node's code in JSON; in EDN, whether the value was a tagged tuple.
struct Row {
  i64 cells[COLUMNS] = {NONE, NONE, NONE, NONE, 0, 0, 0, 0};
  i64 error = 0;
};

// A tokenizer: takes bytes, fills columns; keeps the tables.
class Reader {
 public:
  explicit Reader(char separator)
      : tables{Table(separator), Table(separator), Table(separator),
               Table(separator), Table(separator), Table(separator)} {}
  virtual ~Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Reads whole forms of what lies from begin to end; begin is moved to what was not read.
  // last: nothing comes after it. USUAL or UNUSUAL.
  virtual Found feed(const char*& begin, const char* end, bool last) = 0;
  // What is not deferred in the table, as the text of one JSON array's items, each with a comma after
  // it; and what JSON cannot say: codes, and their text as EDN, each with a newline after it.
  virtual Blocks& json(Which which) { return tables[which].plain; }
  virtual const std::vector<i32>& others(Which) const { return none_; }

  Table tables[TABLES];
  std::vector<i64> columns[COLUMNS];
  std::vector<i64> errors;  // row of these columns and code, in turn
  bool failed = false;      // or its tables were taken

 protected:
  void push(const Row& row) {
    if (row.error != 0) {
      errors.push_back(static_cast<i64>(columns[0].size()));
      errors.push_back(row.error);
    }
    for (int i = 0; i < COLUMNS; ++i) columns[i].push_back(row.cells[i]);
  }

 private:
  std::vector<i32> none_;
};

}  // namespace tokens
