// libYAML. It is linked statically (Package.swift), so that the binary runs where libYAML is not installed.
#pragma once

#include <yaml.h>
