#include "core/ganchroma.h"

const char *gch_status_text(enum gch_status status)
{
    switch (status) {
    case GCH_OK:
        return "no error";
    case GCH_NO_MEMORY:
        return "not enough memory";
    case GCH_TOO_LARGE:
        return "a size is too large for this machine";
    case GCH_BAD_VALUE:
        return "an argument contradicts its contract";
    }
    return "unknown status";
}
