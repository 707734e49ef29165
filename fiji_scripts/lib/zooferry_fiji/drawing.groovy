import groovy.transform.CompileStatic

/** Areas become numbers of a label image (Y X, row by row); the same pixels as ImageJ's own fill. */
@CompileStatic
class Drawing {

    /** Gives the pixels of an area a number.
     *
     * `mask` is not 0 inside and has the size of `box` (x, y, width, height), null: all of the box. Returns how many
     * pixels lie outside of the plane, how many inside, and then number and count of each other object that lost some.
     */
    public static int[] draw(float[] plane, int width, byte[] mask, int[] box, int number) {
        int height = plane.length.intdiv(width).intValue(), outside = 0, inside = 0
        Map<Integer, Integer> lost = new TreeMap<Integer, Integer>()
        for (int row = 0; row < box[3]; row++) {
            for (int column = 0; column < box[2]; column++) {
                if (mask != null && mask[row * box[2] + column] == 0) {
                    continue
                }
                int y = box[1] + row, x = box[0] + column
                if (y < 0 || x < 0 || y >= height || x >= width) {
                    outside = outside + 1
                    continue
                }
                int before = (int) plane[y * width + x]
                if (before > 0 && before != number) {
                    lost.put(before, lost.getOrDefault(before, 0) + 1)
                }
                plane[y * width + x] = (float) number
                inside = inside + 1
            }
        }
        int[] result = new int[2 + 2 * lost.size()]
        result[0] = outside
        result[1] = inside
        int place = 2
        for (Map.Entry<Integer, Integer> entry : lost.entrySet()) {
            result[place] = entry.key
            result[place + 1] = entry.value
            place = place + 2
        }
        return result
    }

    /** Which numbers from 0 to `most` occur, added to what is known. */
    public static void seen(float[] plane, boolean[] known) {
        for (int i = 0; i < plane.length; i++) {
            known[(int) plane[i]] = true
        }
    }
}
