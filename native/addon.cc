// The addon's exports. src/base/native/ has their types; its loader.ts is their only importer.
#include <napi.h>

#include "binding/environment.h"
#include "binding/exports.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  if (copse::Environment::Attach(env) == nullptr || !copse::DefineBlockFileClass(env) || !copse::DefineChunkFileClass(env) ||
      !copse::DefineOverlayFileClass(env) || !copse::DefineLaneClass(env) || !copse::DefineLeaseClass(env)) {
    return exports;
  }
  const napi_property_descriptor functions[] = {
      copse::Method("openBlockFile", copse::OpenBlockFile), copse::Method("openChunkFile", copse::OpenChunkFile),
      copse::Method("crc32c", copse::Crc32cOf),             copse::Method("crc32cByTable", copse::Crc32cByTableOf),
      copse::Method("isZero", copse::IsZeroBytes),          copse::Method("lockFile", copse::LockFile),
      copse::Method("unlockFile", copse::UnlockFile),       copse::Method("sendDatagram", copse::SendDatagramTo),
      copse::Method("openOverlayFile", copse::OpenOverlayFile), copse::Method("writeOverlayMap", copse::WriteOverlayMapFile),
      copse::Method("peerCredentials", copse::PeerCredentialsOf), copse::Method("openLane", copse::OpenLane),
      copse::Method("setUserTimeout", copse::SetUserTimeoutOf),
      copse::Method("openLease", copse::OpenLease),
      copse::Method("openPeerProcess", copse::OpenPeerProcessOf), copse::Method("hasProcessEnded", copse::HasProcessEndedOf),
      copse::Method("discardMemory", copse::DiscardMemory), copse::Method("trimMemory", copse::TrimMemory),
  };
  napi_define_properties(env, exports, sizeof(functions) / sizeof(functions[0]), functions);
  return exports;
}

NODE_API_MODULE(copse, Init)
