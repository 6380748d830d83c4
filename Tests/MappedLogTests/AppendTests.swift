import MappedLog
import SystemPackage
import Testing
