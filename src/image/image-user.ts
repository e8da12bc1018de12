/** Which disks lie over an image, though the image may have been renamed or repinned since they were made. */
import { contentId, type ImageRecord } from '../catalog/image-record.js';
import type { DiskRecord } from '../disk/protocol/record.js';

/**
 * A disk lies over one image at most: the one that has its content, of several the one of its image's name, of none the one of
 * that name, whatever its content is now.
 *
 * @returns names of the disks
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
