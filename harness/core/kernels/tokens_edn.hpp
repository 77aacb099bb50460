// Jepsen's EDN, as far as it is written as usual: maps with keywords as keys, one after another, in
// a vector or list or not, each with a process, type and f. What harness/formats/edn.py would read
// otherwise than here is unusual.
#pragma once
#include "tokens_plain_edn.hpp"

#include <algorithm>

namespace tokens {

class EdnReader : public Reader {
 public:
  EdnReader() : Reader('\n') {}

  Found feed(const char*& begin, const char* end, bool last) override {
    for (;;) {
      skip_blanks(begin, end);
      const char* at = begin;
      const Found found = at == end ? Found::MORE : form(at, end, last);
      if (found == Found::UNUSUAL) return found;
      if (found == Found::MORE) {
        const bool whole = begin == end && opener_ == 0;
        return !last || whole ? Found::USUAL : Found::UNUSUAL;
      }
      begin = at;
    }
  }
  Blocks& json(Which which) override { return json_[which]; }
  const std::vector<i32>& others(Which which) const override { return others_[which]; }

 private:
  enum Field { F_PROCESS, F_TYPE, F_F, F_VALUE, F_KEY, F_ERROR, F_TIME, F_INDEX, FIELDS };
  static constexpr unsigned REQUIRED = 1u << F_PROCESS | 1u << F_TYPE | 1u << F_F;
  static constexpr int UNKNOWN_MAX = 32;

  // One step at the top: a comment, a bracket around the events, or an event.
  Found form(const char*& at, const char* end, bool last) {
    switch (*at) {
      case ';': return comment(at, end, last);
      case '[':
      case '(':
        if (opener_ != 0) return Found::UNUSUAL;
        opener_ = *at++;
        return Found::USUAL;
      case ']':
      case ')':
        if (opener_ != (*at == ']' ? '[' : '(')) return Found::UNUSUAL;
        opener_ = 0;
        ++at;
        return Found::USUAL;
      case '#': {
        static constexpr char OP[] = "#jepsen.history.Op{";
        static constexpr std::size_t SIZE = sizeof(OP) - 1;
        if (static_cast<std::size_t>(end - at) < SIZE) return Found::MORE;
        if (std::memcmp(at, OP, SIZE) != 0) return Found::UNUSUAL;
        at += SIZE;
        return map(at, end);
      }
      case '{': return map(++at, end);
      default: return Found::UNUSUAL;
    }
  }
  static Found comment(const char*& at, const char* end, bool last) {
    for (; at != end; ++at) {
      if (*at == '\n') return Found::USUAL;
      if (static_cast<unsigned char>(*at) >= 0x80) return Found::UNUSUAL;
    }
    return last ? Found::USUAL : Found::MORE;
  }

  // The fields of a map, behind its bracket.
  Found map(const char*& at, const char* end) {
    Row row;
    unsigned seen = 0;
    Span unknown[UNKNOWN_MAX];
    int unknowns = 0;
    for (;;) {
      skip_blanks(at, end);
      if (at == end) return Found::MORE;
      if (*at == '}') break;
      if (*at != ':') return Found::UNUSUAL;
      Span name;
      if (const Found found = atom(at, end, name); found != Found::USUAL) return found;
      ++name.begin;
      skip_blanks(at, end);
      if (at == end) return Found::MORE;
      const int field = named(name);
      if (field == FIELDS) {
        if (unknowns == UNKNOWN_MAX) return Found::UNUSUAL;
        for (int i = 0; i < unknowns; ++i) {
          if (unknown[i].view() == name.view()) return Found::UNUSUAL;
        }
        unknown[unknowns++] = name;
      } else if ((seen >> field & 1u) != 0) {
        return Found::UNUSUAL;
      }
      seen |= field == FIELDS ? 0u : 1u << field;
      const Found found = put(field, at, end, row);
      if (found != Found::USUAL) return found;
    }
    ++at;
    // A tagged tuple has a key of its own.
    const bool two_keys = row.cells[LAST] != 0 && (seen >> F_KEY & 1u) != 0;
    if ((seen & REQUIRED) != REQUIRED || two_keys) return Found::UNUSUAL;
    push(row);
    return Found::USUAL;
  }
  static int named(Span name) {
    static constexpr std::string_view NAMES[] = {"process", "type",  "f",    "value",
                                                 "key",     "error", "time", "index"};
    const int found = name.size() > 0 ? place(name, NAMES) : -1;
    return found < 0 ? FIELDS : found;
  }

  Found put(int field, const char*& at, const char* end, Row& row) {
    static constexpr char TUPLE[] = "#jepsen.independent/tuple";
    static constexpr std::size_t TAG = sizeof(TUPLE) - 1;
    if (field == F_VALUE && *at == '#') {
      const std::size_t size = std::min(TAG, static_cast<std::size_t>(end - at));
      if (std::memcmp(at, TUPLE, size) == 0) {
        if (size < TAG || at + TAG == end) return Found::MORE;
        if (!atom_goes_on(at[TAG])) {
          at += TAG;
          return tuple(at, end, row);
        }
      }
    }
    if (field == F_VALUE) return value(at, end, row);
    Span span;
    if (const Found found = any(at, end, span); found != Found::USUAL) return found;
    switch (field) {
      case F_PROCESS:
        if (span.is(":nemesis")) return Found::USUAL;  // NONE and NEMESIS are the same number
        row.cells[PROCESS] = natural(span);
        return row.cells[PROCESS] >= 0 ? Found::USUAL : Found::UNUSUAL;
      case F_TYPE: return type(span, row.cells[TYPE]);
      case F_F: return code(FUNCTIONS, span, row.cells[F]);
      case F_KEY: return code(KEYS, span, row.cells[KEY]);
      case F_ERROR: return code(ERRORS, span, row.error);
      case F_TIME: return number(span, row.cells[TIME]);
      case F_INDEX: return number(span, row.cells[INDEX]);
      default: return extra(span);
    }
  }
  Found value(const char*& at, const char* end, Row& row) {
    Span span;
    if (at != end && *at == '[' && plain_.transaction(at, end, span)) {
      bool fresh;
      row.cells[VALUE] = tables[VALUES].code(span, fresh, true);
      return row.cells[VALUE] == 0 ? Found::UNUSUAL : Found::USUAL;
    }
    const Found found = any(at, end, span);
    return found == Found::USUAL ? code(VALUES, span, row.cells[VALUE]) : found;
  }
  // The key and the value of a tuple, behind its tag.
  Found tuple(const char*& at, const char* end, Row& row) {
    Span key;
    skip_blanks(at, end);
    if (at == end) return Found::MORE;
    if (*at++ != '[') return Found::UNUSUAL;
    if (const Found found = any(at, end, key); found != Found::USUAL) return found;
    skip_blanks(at, end);
    if (const Found found = value(at, end, row); found != Found::USUAL) return found;
    skip_blanks(at, end);
    if (at == end) return Found::MORE;
    if (*at++ != ']') return Found::UNUSUAL;
    row.cells[LAST] = 1;
    return code(KEYS, key, row.cells[KEY]);
  }
  static Found number(Span span, i64& cell) {
    if (span.is("nil")) return Found::USUAL;
    if (span.size() > 1 && span.end[-1] == 'N') --span.end;
    cell = natural(span);
    return cell >= 0 ? Found::USUAL : Found::UNUSUAL;
  }
  static Found type(Span span, i64& cell) {
    static constexpr std::string_view TYPES[] = {":invoke", ":ok", ":fail", ":info"};
    cell = place(span, TYPES);
    return cell >= 0 ? Found::USUAL : Found::UNUSUAL;
  }
  Found code(Which which, Span span, i64& cell) {
    if (span.is("nil")) {
      cell = 0;
      return which == FUNCTIONS ? Found::UNUSUAL : Found::USUAL;
    }
    bool fresh = false, plain;
    i32 code;
    if (which == VALUES && nested(span) && json_of(span, plain) && plain && is_transaction()) {
      // No other text begins like that: what is known by its EDN cannot be said so in JSON.
      code = tables[which].code({scratch_.data(), scratch_.data() + scratch_.size() - 1}, fresh, true);
    } else {
      code = tables[which].code(span, fresh);
      if (fresh && !json_of(span, plain)) {
        others_[which].push_back(code);
      } else if (fresh) {
        char* to = json_[which].room(scratch_.size());
        std::memcpy(to, scratch_.data(), scratch_.size());
        json_[which].advance(scratch_.size());
      }
    }
    if (code == 0) return Found::UNUSUAL;
    cell = code;
    return Found::USUAL;
  }
  static bool nested(Span span) {
    const char* at = span.begin;
    if (*at != '[' && *at != '(') return false;
    skip_blanks(++at, span.end);
    return *at == '[' || *at == '(';
  }
  // The form as JSON, and a comma, in scratch_.
  bool json_of(Span span, bool& plain) {
    scratch_.clear();
    return append_json(span, scratch_, plain);
  }
  bool is_transaction() const { return std::string_view(scratch_).substr(0, 3) == "[[\""; }
  // A field that nobody asks for must be well-formed, and that is all.
  Found extra(Span span) {
    bool plain;
    i64 unused;
    if (json_of(span, plain) && ascii(span)) return Found::USUAL;
    return code(EXTRAS, span, unused);
  }

  char opener_ = 0;
  Blocks json_[TABLES];
  std::string scratch_;
  PlainEdn plain_;
  std::vector<i32> others_[TABLES];
};

}  // namespace tokens
