// The lexical part of EDN, and what of it JSON can say.
#pragma once
#include "tokens_table.hpp"

namespace tokens {

inline bool blank(char c) { return is(c, BLANK); }
inline void skip_blanks(const char*& at, const char* end) {
  while (at != end && blank(*at)) ++at;
}
// Whether c lies within an atom, as far as it is printable ASCII.
inline bool atom_goes_on(char c) { return is(c, ATOM); }
inline bool digit(char c) { return c >= '0' && c <= '9'; }
inline bool letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
inline bool ascii(Span span) {
  for (const char* at = span.begin; at != span.end; ++at) {
    if (static_cast<unsigned char>(*at) >= 0x80) return false;
  }
  return true;
}

// A number, keyword or symbol; it ends before a blank, a bracket or a string.
inline Found atom(const char*& at, const char* end, Span& span) {
  span.begin = at;
  while (at != end && atom_goes_on(*at)) ++at;
  if (at == end) return Found::MORE;
  span.end = at;
  return is(*at, BLANK | BRACKET) && span.size() > 0 ? Found::USUAL : Found::UNUSUAL;
}
inline Found string(const char*& at, const char* end) {
  for (++at; at != end; ++at) {
    if (*at == '"') {
      ++at;
      return Found::USUAL;
    }
    if (*at == '\\' && ++at == end) break;
  }
  return Found::MORE;
}
// One token of a form; brackets are opened and closed.
inline Found token(const char*& at, const char* end, Brackets& brackets, bool& prefix) {
  prefix = false;
  const char c = *at;
  switch (c) {
    case '"': return string(at, end);
    case '[':
    case '(':
    case '{':
      ++at;
      return brackets.open(c == '[' ? ']' : c == '(' ? ')' : '}') ? Found::USUAL : Found::UNUSUAL;
    case ']':
    case ')':
    case '}': ++at; return brackets.close(c) ? Found::USUAL : Found::UNUSUAL;
    case '#': {
      if (++at == end) return Found::MORE;
      if (*at == '{') {
        ++at;
        return brackets.open('}') ? Found::USUAL : Found::UNUSUAL;
      }
      Span tag;
      prefix = true;
      return letter(*at) ? atom(at, end, tag) : Found::UNUSUAL;
    }
    default: {
      Span unused;
      return atom(at, end, unused);
    }
  }
}
// Any form: its brackets match and its strings end.
inline Found any(const char*& at, const char* end, Span& span) {
  Brackets brackets;
  bool prefix;
  skip_blanks(at, end);
  span.begin = at;
  do {
    skip_blanks(at, end);
    if (at == end) return Found::MORE;
    if (const Found found = token(at, end, brackets, prefix); found != Found::USUAL) return found;
  } while (prefix || brackets.depth() > 0);
  span.end = at;
  return Found::USUAL;
}

// Whether an atom is -?(0|[1-9][0-9]*)\.[0-9]+ and so short that every reader reads the same.
inline bool plain_float(Span span) {
  const char* at = span.begin;
  if (span.size() > 17) return false;
  if (at != span.end && *at == '-') ++at;
  const char* whole = at;
  while (at != span.end && digit(*at)) ++at;
  if (at == whole || (*whole == '0' && at - whole > 1) || at == span.end || *at != '.') return false;
  const char* fraction = ++at;
  while (at != span.end && digit(*at)) ++at;
  return at == span.end && at != fraction;
}
inline void append_quoted(const char* begin, const char* end, std::string& json) {
  json.push_back('"');
  json.append(begin, end);
  json.push_back('"');
}
// plain becomes false where another text may say the same (see tokens_plain.hpp).
inline bool append_atom(Span span, std::string& json, bool& plain) {
  const char first = *span.begin;
  if (digit(first) && (first != '0' || span.size() == 1) && natural(span) >= 0) {
    json.append(span.begin, span.size());
  } else if (first == ':') {
    append_quoted(span.begin + 1, span.end, json);
  } else if (span.is("nil")) {
    json += "null";
  } else if (span.is("true") || span.is("false")) {
    json.append(span.begin, span.end);
  } else if (letter(first) || first == '_') {
    append_quoted(span.begin, span.end, json);  // a symbol
  } else if (plain_float(span)) {
    plain = false;
    json.append(span.begin, span.end);
  } else {
    if (span.size() > 1 && span.end[-1] == 'N') --span.end;
    const bool sign = first == '-' || first == '+';
    const i64 value = natural({span.begin + (sign ? 1 : 0), span.end});
    if (value < 0) return false;
    json += std::to_string(first == '-' ? -value : value);
  }
  return true;
}
inline bool append_string(const char* begin, const char* end, std::string& json, bool& plain) {
  for (const char* at = begin + 1; at != end - 1; ++at) {
    if (static_cast<unsigned char>(*at) < 0x20) return false;
    if (*at == '\\' || static_cast<unsigned char>(*at) >= 0x7f) plain = false;
    if (*at == '\\' && std::strchr("\"\\/bfnrt", *++at) == nullptr) return false;
    if (*at == 0) return false;
  }
  json.append(begin, end);
  return true;
}
// Appends a form, and a comma, as JSON to json. False, and nothing appended: JSON cannot say it, or
// not without doubt (maps, tags, large numbers, escapes in strings that differ).
inline bool append_json(Span span, std::string& json, bool& plain) {
  const std::size_t before = json.size();
  plain = true;
  Brackets brackets;
  bool prefix;
  for (const char* at = span.begin; at != span.end;) {
    const char c = *at;
    if (blank(c)) {
      ++at;
      continue;
    }
    const char* begin = at;
    bool fine = true;
    if (c == '"') {
      fine = string(at, span.end) == Found::USUAL && append_string(begin, at, json, plain);
    } else if (c == '{' || (c == '#' && span.end - at > 1 && at[1] != '{')) {
      fine = false;
    } else if (c == '[' || c == '(' || c == '#') {
      fine = token(at, span.end, brackets, prefix) == Found::USUAL;
      json.push_back('[');
    } else if (c == ']' || c == ')' || c == '}') {
      fine = token(at, span.end, brackets, prefix) == Found::USUAL;
      if (json.back() == ',') json.pop_back();
      json.push_back(']');
    } else {
      while (at != span.end && atom_goes_on(*at)) ++at;
      fine = at != begin && append_atom({begin, at}, json, plain);
    }
    if (!fine) {
      json.resize(before);
      return false;
    }
    if (json.back() != '[') json.push_back(',');
  }
  return true;
}

}  // namespace tokens
