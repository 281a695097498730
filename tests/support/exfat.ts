import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEnd } from './afterEnd.ts';

export interface Mounted {
  path: string;
  unmount(): Promise<void>;
}

/** An exFAT file system, as on the disks that people carry about: no hard links, no permissions. Gone with this process. */
export function mountExfat(sizeMb: number): Mounted {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-exfat-'));
  const image = join(folder, 'image');
  const path = join(folder, 'disk');
  mkdirSync(path);
  writeFileSync(image, '');
  truncateSync(image, sizeMb * 1_000_000);
  execFileSync('mkfs.exfat', [image]);
  const device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
  const unmount = afterEnd('umount -l "$1"; losetup -d "$2"; rm -rf "$3"', path, device, folder);
  execFileSync('mount.exfat-fuse', [device, path], { stdio: 'pipe' });
  return { path, unmount };
}

/** Why none can be had here, if so. */
export function exfatLacks(): string | false {
  if (process.getuid?.() !== 0) return 'only root may mount an exFAT disk';
  if (!existsSync('/dev/fuse')) return 'there is no FUSE here to mount an exFAT disk with';
  const missing = ['mkfs.exfat', 'mount.exfat-fuse', 'losetup'].filter(
    program => spawnSync(program, ['--help']).error,
  );
  return missing.length > 0 && `mounting an exFAT disk needs ${missing.join(', ')}`;
}
