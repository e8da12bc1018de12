/**
 * Finds the disks that lie over an image, which may have been renamed or repinned since they were
 * created.
 */
import { contentId, type ImageRecord } from '../catalog/image-record.js';
import type { DiskRecord } from '../disk/protocol/record.js';

/**
 * Returns the names of the disks over an image. A disk lies over at most one image, the one with
 * its content. Of several such images it is the one with its image's name. If none has its content,
 * it is the image of that name.
 */
export function usersOf(imageName: string, images: readonly ImageRecord[], disks: readonly DiskRecord[]): string[] {
  const all = images.map(({ name, content }) => ({ name, id: contentId(content) }));
  const imageOf = ({ name, content }: NonNullable<DiskRecord['image']>): string | undefined => {
    const id = contentId(content);
    const same = all.filter((image) => image.id === id);
    return (same.find((image) => image.name === name) ?? same[0] ?? all.find((image) => image.name === name))?.name;
  };
  const users = disks.filter(({ image }) => image !== undefined && imageOf(image) === imageName);
  return [...new Set(users.map(({ name }) => name))];
}
