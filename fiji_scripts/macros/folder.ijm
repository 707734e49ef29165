// Restore all images of a folder, sub-folders as well. The table zooferry_results.csv in the output folder tells how
// each file went; a run that was stopped goes on where it was when it is started again.
//
// In Fiji: Plugins > Macros > Run... asks for the folders.
// Without a window, both launchers, from Fiji's folder (the argument is: input folder|output folder|model):
//   ./ImageJ-linux64 --headless -macro macros/zooferry/folder.ijm "/data/raw|/data/restored|my model"
//   ./fiji --headless -macro macros/zooferry/folder.ijm "/data/raw|/data/restored|my model"
// The exit code is 0 only if every file was restored: "exit" below asks for it, and is ignored where there is a window.

argument = getArgument();
if (argument != "") {
    words = split(argument, "|");
    if (words.length != 3) exit("the argument is " + argument + ": write input folder|output folder|model");
    input = words[0];
    output = words[1];
    model = words[2];
} else {
    input = getDirectory("Folder of the images");
    output = getDirectory("Folder for the results");
    model = getString("Model: name of an installed one, folder or zip", "");
}

// To be changed as needed: pattern=*.tif;*.czi (which files), tile=512, threads=4, retry (those again that failed)
settings = "pattern=*.tif;*.tiff recursive exit";
run("Run Zooferry Model on Folder", "input=[" + input + "] output=[" + output + "] model=[" + model + "] " + settings);
