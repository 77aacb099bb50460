// The lines of history.jsonl that are written as usual: an object with the fields of an event, each
// at most once, whose numbers are plain. Values are only delimited here; msgspec reads them, but for
// transactions, which are read when somebody asks for them.
#pragma once
#include "tokens_plain.hpp"

namespace tokens {

class JsonReader : public Reader {
 public:
  JsonReader() : Reader(',') {}

  Found feed(const char*& begin, const char* end, bool last) override {
    while (begin != end) {
      const std::size_t left = static_cast<std::size_t>(end - begin);
      const char* newline = static_cast<const char*>(std::memchr(begin, '\n', left));
      if (newline == nullptr && !last) break;
      const char* stop = newline == nullptr ? end : newline;
      if (!line(begin, stop)) return Found::UNUSUAL;
      ++lines_;
      begin = newline == nullptr ? end : newline + 1;
    }
    return Found::USUAL;
  }

 private:
  enum Field { F_INDEX, F_TIME, F_PROCESS, F_TYPE, F_F, F_KEY, F_VALUE, F_NODE, F_ERROR, F_SESSION };
  static constexpr unsigned REQUIRED =
      1u << F_TIME | 1u << F_PROCESS | 1u << F_TYPE | 1u << F_F | 1u << F_VALUE;

  static bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
  static void skip(const char*& at, const char* end) {
    while (at != end && blank(*at)) ++at;
  }
  static bool take(const char*& at, const char* end, char c) {
    if (at == end || *at != c) return false;
    ++at;
    return true;
  }

  bool line(const char* at, const char* end) {
    Row row;
    unsigned seen = 0;
    skip(at, end);
    if (!take(at, end, '{')) return false;
    do {
      Span name, value;
      skip(at, end);
      if (!string(at, end, name)) return false;
      skip(at, end);
      if (!take(at, end, ':')) return false;
      skip(at, end);
      const int field = named({name.begin + 1, name.end - 1});
      if (field < 0 || (seen >> field & 1u) != 0) return false;
      seen |= 1u << field;
      if (field == F_VALUE && plain_transaction(at, end, value, scratch_)) {
        bool fresh;
        row.cells[VALUE] = tables[VALUES].code(value, fresh, true);
        if (row.cells[VALUE] == 0) return false;
      } else {
        if (!any(at, end, value)) return false;
        if (!put(static_cast<Field>(field), value, row)) return false;
      }
      skip(at, end);
    } while (take(at, end, ','));
    if (!take(at, end, '}')) return false;
    skip(at, end);
    if (at != end || (seen & REQUIRED) != REQUIRED) return false;
    if ((seen >> F_INDEX & 1u) == 0) row.cells[INDEX] = lines_;
    push(row);
    return true;
  }

  static int named(Span name) {
    static constexpr std::string_view NAMES[] = {"index", "time",  "process", "type",  "f",
                                                 "key",   "value", "node",    "error", "session"};
    return place(name, NAMES);
  }

  bool put(Field field, Span value, Row& row) {
    switch (field) {
      case F_INDEX: return number(value, row.cells[INDEX]);
      case F_TIME: return number(value, row.cells[TIME]);
      case F_PROCESS:
        if (value.is("\"nemesis\"")) return true;  // NONE and NEMESIS are the same number
        return number(value, row.cells[PROCESS]);
      case F_TYPE: return type(value, row.cells[TYPE]);
      case F_F: return *value.begin == '"' && code(FUNCTIONS, value, row.cells[F]);
      case F_KEY: return code(KEYS, value, row.cells[KEY]);
      case F_VALUE: return code(VALUES, value, row.cells[VALUE]);
      case F_NODE:
        return (*value.begin == '"' || value.is("null")) && code(NODES, value, row.cells[LAST]);
      case F_ERROR: return code(ERRORS, value, row.error);
      case F_SESSION: {
        i64 unused;
        return code(EXTRAS, value, unused);
      }
    }
    return false;
  }
  static bool number(Span span, i64& cell) {
    if (span.size() > 1 && *span.begin == '0') return false;
    cell = natural(span);
    return cell >= 0;
  }
  static bool type(Span span, i64& cell) {
    static constexpr std::string_view TYPES[] = {"\"invoke\"", "\"ok\"", "\"fail\"", "\"info\""};
    cell = place(span, TYPES);
    return cell >= 0;
  }
  bool code(Which which, Span span, i64& cell) {
    bool fresh;
    cell = span.is("null") ? 0 : tables[which].code(span, fresh);
    return cell > 0 || span.is("null");
  }

  // A string with its quotes.
  static bool string(const char*& at, const char* end, Span& span) {
    span.begin = at;
    if (!take(at, end, '"')) return false;
    for (; at != end; ++at) {
      if (*at == '"') {
        span.end = ++at;
        return true;
      }
      if (*at == '\\' && ++at == end) return false;
    }
    return false;
  }
  static bool scalar(const char*& at, const char* end) {
    const char* begin = at;
    while (at != end && is(*at, SCALAR)) ++at;
    return at != begin;
  }
  // Any value. Its brackets match and its strings end; msgspec will judge the rest.
  static bool any(const char*& at, const char* end, Span& span) {
    Brackets brackets;
    span.begin = at;
    do {
      if (at == end) return false;
      Span inner;
      const char c = *at;
      if (c == '"') {
        if (!string(at, end, inner)) return false;
      } else if (c == '[' || c == '{') {
        if (!brackets.open(c == '[' ? ']' : '}')) return false;
        ++at;
      } else if (c == ']' || c == '}') {
        if (!brackets.close(c)) return false;
        ++at;
      } else if (brackets.depth() > 0 && (blank(c) || c == ',' || c == ':')) {
        ++at;
      } else if (!scalar(at, end)) {
        return false;
      }
    } while (brackets.depth() > 0);
    span.end = at;
    return true;
  }

  i64 lines_ = 0;
  std::string scratch_;
};

}  // namespace tokens
