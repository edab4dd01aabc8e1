from flyweight.cli import main

main()
