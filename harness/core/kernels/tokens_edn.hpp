// Jepsen's EDN, as far as it is written as usual: maps with keywords as keys, one after another, in
// a vector or list or not, each with a process, type and f. What harness/formats/edn.py would read
// otherwise than here is unusual.
#pragma once
#include "tokens_json_of_edn.hpp"

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
  const std::string& json(Which which) const override { return json_[which]; }
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
    Span span;
    if (const Found found = any(at, end, span); found != Found::USUAL) return found;
    switch (field) {
      case F_PROCESS:
        if (span.is(":nemesis")) return Found::USUAL;  // NONE and NEMESIS are the same number
        row.cells[PROCESS] = natural(span);
        return row.cells[PROCESS] >= 0 ? Found::USUAL : Found::UNUSUAL;
      case F_TYPE: return type(span, row.cells[TYPE]);
      case F_F: return code(FUNCTIONS, span, row.cells[F]);
      case F_VALUE: return code(VALUES, span, row.cells[VALUE]);
      case F_KEY: return code(KEYS, span, row.cells[KEY]);
      case F_ERROR: return code(ERRORS, span, row.error);
      case F_TIME: return number(span, row.cells[TIME]);
      case F_INDEX: return number(span, row.cells[INDEX]);
      default: return extra(span);
    }
  }
  // The key and the value of a tuple, behind its tag.
  Found tuple(const char*& at, const char* end, Row& row) {
    Span key, value;
    skip_blanks(at, end);
    if (at == end) return Found::MORE;
    if (*at++ != '[') return Found::UNUSUAL;
    if (const Found found = any(at, end, key); found != Found::USUAL) return found;
    if (const Found found = any(at, end, value); found != Found::USUAL) return found;
    skip_blanks(at, end);
    if (at == end) return Found::MORE;
    if (*at++ != ']') return Found::UNUSUAL;
    row.cells[LAST] = 1;
    const Found found = code(KEYS, key, row.cells[KEY]);
    return found == Found::USUAL ? code(VALUES, value, row.cells[VALUE]) : found;
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
    bool fresh = false;
    const i32 code = tables[which].code(span, fresh);
    if (code == 0) return Found::UNUSUAL;
    if (fresh && !append_json(span, json_[which])) others_[which].push_back(code);
    cell = code;
    return Found::USUAL;
  }
  // A field that nobody asks for must be well-formed, and that is all.
  Found extra(Span span) {
    scratch_.clear();
    i64 unused;
    if (append_json(span, scratch_) && ascii(span)) return Found::USUAL;
    return code(EXTRAS, span, unused);
  }

  char opener_ = 0;
  std::string json_[TABLES], scratch_;
  std::vector<i32> others_[TABLES];
};

}  // namespace tokens
