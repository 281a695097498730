import type { StorageKind } from '../kind.ts';
import { parseSftp, type SftpSpec, sftpLocation } from './spec.ts';
import { SftpStorage } from './storage.ts';

/** A folder on an SSH server; ssh2 is loaded when it is first connected to. */
export const sftpKind: StorageKind<SftpSpec> = {
  kind: 'sftp',
  schemes: ['sftp'],
  variables: ['SSH_AUTH_SOCK'],
  classes: {},
  parse: parseSftp,
  location: sftpLocation,
  host: spec => spec.host,
  open: async spec => new SftpStorage(spec),
};
