// Tokenizers for histories: JSON lines and EDN.
#include "native.hpp"

PyMethodDef tokens_methods[] = {{nullptr, nullptr, 0, nullptr}};
